// What the assistant remembers of who is signed in, or else of the person at this browser: a list to add to, change and delete from.
import { addFact, deleteFact, editFact, facts, key, notice, person, rater, useKey } from "./server.js";

const at = (id) => document.getElementById(id);
const told = (id) => at(id).content.textContent;

/** Do it, say that it is done, and show what is remembered now; or show what went wrong, and return false. */
async function done(act, said) {
  try {
    notice(null);
    at("said").textContent = "";
    await act();
    await show();
    at("said").textContent = said;
    return true;
  } catch (error) {
    notice(error);
    return false;
  }
}

async function show() {
  const found = await facts();
  at("facts").replaceChildren(...found.map(shown));
  at("none").hidden = found.length > 0;
  at("delete-all").hidden = found.length === 0;
  if (!person) showKey();
}

function showKey() {
  at("own-key").value = key() ?? "";
  at("has-key").hidden = !key();
  at("no-key").hidden = Boolean(key());
}

function shown(fact) {
  const row = at("fact-template").content.firstElementChild.cloneNode(true);
  const [text, actions, form] = [".text", ".actions", "form"].map((name) => row.querySelector(name));
  const field = row.querySelector("textarea");
  text.textContent = field.value = fact.text;
  const editing = (isOn) => {
    text.hidden = actions.hidden = isOn;
    form.hidden = !isOn;
    (isOn ? field : row.querySelector(".edit")).focus();
  };
  row.querySelector(".edit").onclick = () => editing(true);
  row.querySelector(".cancel").onclick = () => {
    field.value = fact.text;
    editing(false);
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (await done(() => editFact(fact.id, field.value), told("saved"))) at("fact").focus();
  };
  row.querySelector(".delete").onclick = async () => {
    if (await done(() => deleteFact(fact.id), told("deleted"))) at("fact").focus();
  };
  return row;
}

at("add").onsubmit = async (event) => {
  event.preventDefault();
  const field = at("fact");
  if (field.value.trim() && (await done(() => addFact(field.value), told("saved")))) field.value = "";
};
at("delete-all").onclick = async () => {
  if (confirm(told("delete-all-sure"))) await done(() => deleteFact(), told("deleted"));
};
if (!person) offerKey();

/** Whoever is not signed in is remembered by a key, which opens their memory in another browser too. */
function offerKey() {
  at("own-key").onfocus = () => at("own-key").select();
  at("copy").onclick = async () => {
    await navigator.clipboard.writeText(key());
    at("key-said").textContent = told("copied");
  };
  at("use-key").onsubmit = async (event) => {
    event.preventDefault();
    const other = at("other-key").value;
    if (key() && key() !== other && !confirm(told("replace-sure"))) return;
    useKey(other);
    at("key-said").textContent = "";
    if (!(await done(async () => {}, ""))) return;
    at("other-key").value = "";
    at("key-said").textContent = told("used");
  };
}

at("own-name").value ||= rater(); // where there are keys, people are who their key says
at("own-name").onfocus = () => at("own-name").select();

show().catch(notice);

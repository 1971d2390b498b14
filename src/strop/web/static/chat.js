// The chat page. What people and the model write is inserted as text, never as HTML.
import { ask, models, notice, say, Told, withdraw } from "./server.js";
import * as history from "./history.js";

const at = (id) => document.getElementById(id);
const template = (name) => at(`${name}-template`).content.firstElementChild.cloneNode(true);
const [text, messages, scroll] = ["text", "messages", "scroll"].map(at);

let conversation = fresh();
let running = null; // the AbortController of the answer that is being written

function fresh() {
  return { id: crypto.randomUUID(), messages: [] };
}

// ---------------------------------------------------------------- showing

function show() {
  at("hello").hidden = conversation.messages.length > 0;
  messages.replaceChildren(...conversation.messages.map(shown));
  if (at("rating")) offerRating();
  if (at("consent")) showConsent();
  list();
  toEnd();
}

function shown(message, index) {
  const article = template(message.role);
  article.querySelector(".text").textContent = message.content;
  if (message.role === "user") {
    article.querySelector(".edit").onclick = () => edit(article, index);
    return article;
  }
  paint(article, message);
  const isLast = index === conversation.messages.length - 1;
  article.querySelector(".retry").hidden = !isLast;
  article.querySelector(".retry").onclick = () => answer(index);
  if (article.querySelector(".feedback")) offerFeedback(article, message);
  return article;
}

function paint(article, message) {
  article.querySelector(".text").textContent = message.content;
  article.dataset.state = message.state;
  article.dataset.kept = message.kept === true;
  article.setAttribute("aria-busy", message.state === "writing");
}

function list() {
  const kept = history.all();
  at("conversations").replaceChildren(
    ...kept.map((one) => {
      const [row, isOpen] = [template("conversation"), one.id === conversation.id];
      const [link, remove] = [row.querySelector(".open"), row.querySelector(".delete")];
      link.textContent = one.messages[0].content.trim().slice(0, 80) || at("untitled").content.textContent;
      link.href = `#${one.id}`;
      row.classList.toggle("open-now", isOpen);
      if (isOpen) link.setAttribute("aria-current", "true");
      remove.setAttribute("aria-label", `${remove.title}: ${link.textContent}`);
      remove.onclick = () => forget(one.id);
      return row;
    }),
  );
  at("delete-all").hidden = kept.length === 0;
}

const isAtEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
const toEnd = () => (scroll.scrollTop = scroll.scrollHeight);

// ---------------------------------------------------------------- asking

function send(written, index = conversation.messages.length) {
  conversation.messages = [...conversation.messages.slice(0, index), { role: "user", content: written }];
  location.hash = conversation.id;
  return answer(conversation.messages.length);
}

/** Ask for the answer at `index`; what stood there and after it goes. */
async function answer(index) {
  notice(null);
  running?.abort();
  const [mine, control] = [conversation, new AbortController()];
  const asked = mine.messages.slice(0, index).map(({ role, content }) => ({ role, content }));
  const agrees = Boolean(at("consent")) && mine.consent === true;
  const message = { role: "assistant", content: "", state: "writing", kept: agrees };
  mine.messages = [...mine.messages.slice(0, index), message];
  running = control;
  busy(true);
  show();
  const place = messages.lastElementChild;
  const seen = (choice) => {
    const wasAtEnd = isAtEnd();
    message.content += choice.delta.content ?? "";
    message.inference = choice.inference_id;
    message.state = choice.finish_reason ?? "writing";
    paint(place, message);
    if (wasAtEnd) toEnd();
  };
  try {
    const [model] = await models(control.signal);
    await ask(model.id, asked, { conversation: mine.id, agrees, signal: control.signal, seen });
  } catch (error) {
    message.state = "stopped";
    if (!control.signal.aborted) notice(error);
  } finally {
    if (running === control) {
      running = null;
      busy(false);
    }
    if (message.state === "stopped" && !message.content) mine.messages = mine.messages.filter((one) => one !== message);
    remember(mine);
    if (mine === conversation) show();
  }
}

function busy(isBusy) {
  at("send").hidden = isBusy;
  at("stop").hidden = !isBusy;
}

function remember(one) {
  try {
    history.keep(one);
  } catch (error) {
    if (error.name !== "QuotaExceededError") throw error;
    notice(new Told(at("full").content.textContent));
  }
}

function edit(article, index) {
  if (article.querySelector("form")) return;
  const wasText = article.querySelector(".text");
  const close = () => (form.remove(), (wasText.hidden = false), article.querySelector(".edit").focus());
  const form = inline("edit", wasText.textContent, close, (written) => send(written, index));
  wasText.hidden = true;
  article.append(form);
  begin(form);
}

function begin(form) {
  form.querySelector("textarea").focus();
  form.scrollIntoView({ block: "nearest" });
}

/** A form of one text; `done` gets the text, `close` takes the form away. */
function inline(name, written, close, done) {
  const form = template(name);
  const field = form.querySelector("textarea");
  field.value = written;
  form.querySelector(".cancel").onclick = close;
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.stopPropagation();
    close();
  });
  form.onsubmit = (event) => {
    event.preventDefault();
    if (field.value.trim()) done(field.value);
  };
  return form;
}

// ---------------------------------------------------------------- feedback

function offerFeedback(article, message) {
  const [good, bad] = [article.querySelector(".good"), article.querySelector(".bad")];
  const press = () => {
    good.setAttribute("aria-pressed", message.thumb === true);
    bad.setAttribute("aria-pressed", message.thumb === false);
  };
  const thumb = (value) => keepFeedback(article, message, "thumb", value, () => ((message.thumb = value), press()));
  good.onclick = () => thumb(true);
  bad.onclick = () => thumb(false);
  press();
  const written = { comment: ["comment", () => ""], better: ["demonstration", () => message.content] };
  for (const [name, [kind, start]] of Object.entries(written)) {
    const button = article.querySelector(`.${name}`);
    const close = () => {
      article.querySelector(`.${name}-form`).remove();
      button.setAttribute("aria-expanded", false);
      button.focus();
    };
    button.onclick = () => {
      if (article.querySelector(`.${name}-form`)) return close();
      const form = inline(name, start(), close, (value) => keepFeedback(article, message, kind, value, close));
      article.querySelector(".actions").append(form);
      button.setAttribute("aria-expanded", true);
      begin(form);
    };
  }
}

async function keepFeedback(article, message, kind, value, done) {
  const mine = conversation;
  try {
    notice(null);
    await say(kind, value, { inference_id: message.inference });
  } catch (error) {
    return notice(error);
  }
  done();
  article.querySelector(".said").textContent = at("thanks").content.textContent;
  remember(mine);
}

/** Stars for the whole conversation, once the server has kept an answer of it: 1 to 5, which it takes as 0 to 1. */
function offerRating() {
  const isKept = (message) => message.kept && ["stop", "length"].includes(message.state);
  at("rating").hidden = !conversation.messages.some(isKept);
  at("rated").textContent = "";
  for (const star of at("rating").querySelectorAll("input")) {
    star.checked = Number(star.value) === conversation.stars;
    star.onchange = () => rate(Number(star.value));
  }
}

async function rate(stars) {
  const mine = conversation;
  try {
    notice(null);
    await say("rating", (stars - 1) / 4, { conversation_id: mine.id });
  } catch (error) {
    return notice(error);
  }
  mine.stars = stars;
  at("rated").textContent = at("thanks").content.textContent;
  remember(mine);
}

// ---------------------------------------------------------------- consent

function showConsent() {
  at("consent-ask").hidden = conversation.consent !== undefined;
  at("consent-given").hidden = conversation.consent !== true;
  at("consent-refused").hidden = conversation.consent !== false;
  at("consent-said").textContent = "";
}

/** Whether the server keeps this conversation from now on. */
function decide(agrees) {
  conversation.consent = agrees;
  if (conversation.messages.length) remember(conversation);
  showConsent();
  text.focus();
}

/** Delete what the server keeps of a conversation; whether it did. */
async function takenBack(one) {
  if (!one.consent || !at("consent")) return true;
  if (one.id === conversation.id) running?.abort();
  try {
    notice(null);
    await withdraw(one.id);
  } catch (error) {
    notice(error);
    return false;
  }
  return true;
}

async function takeBack() {
  const mine = conversation;
  if (!(await takenBack(mine))) return;
  mine.consent = false;
  mine.messages = mine.messages.map(({ kept, thumb, ...message }) => message);
  delete mine.stars;
  if (mine.messages.length) remember(mine);
  if (mine !== conversation) return;
  show();
  at("consent-said").textContent = at("withdrawn").content.textContent;
  text.focus();
}

// ---------------------------------------------------------------- conversations

function open() {
  const id = location.hash.slice(1);
  if (id === conversation.id) return;
  running?.abort();
  conversation = history.find(id) ?? fresh();
  notice(null);
  menu(false);
  show();
  text.focus();
}

/** Delete a conversation here, and what the server keeps of it. */
async function forget(id) {
  if (id === conversation.id) running?.abort();
  if (!(await takenBack(history.find(id)))) return;
  history.remove(id);
  if (id === conversation.id) startOver();
  else list();
}

function startOver() {
  running?.abort();
  conversation = fresh();
  window.history.replaceState(null, "", location.pathname);
  menu(false);
  show();
  text.focus();
}

function menu(isOpen) {
  at("history").classList.toggle("open", isOpen);
  at("menu").setAttribute("aria-expanded", isOpen);
}

at("composer").onsubmit = (event) => {
  event.preventDefault();
  const written = text.value;
  if (!written.trim() || running) return;
  text.value = "";
  send(written);
};
text.addEventListener("keydown", (event) => {
  // while Chinese is being composed, Enter takes the word
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("composer").requestSubmit();
});
at("stop").onclick = () => {
  running?.abort();
  text.focus();
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") running?.abort();
});
at("new").onclick = startOver;
at("menu").onclick = () => menu(!at("history").classList.contains("open"));
at("delete-all").onclick = async () => {
  if (!confirm(at("delete-all-sure").content.textContent)) return;
  for (const one of history.all()) {
    if (!(await takenBack(one))) return list();
    history.remove(one.id);
  }
  history.removeAll();
  startOver();
};
if (at("consent")) {
  at("agree").onclick = at("agree-later").onclick = () => decide(true);
  at("decline").onclick = () => decide(false);
  at("withdraw").onclick = takeBack;
}
window.onhashchange = open;

if (location.hash) open();
else show();

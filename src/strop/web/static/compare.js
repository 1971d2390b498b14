// Two answers to one question, blind and in random order, and which is better: the pair that the assistant needs most,
// or two new answers to a question of one's own.
import { ask, models, nextPair, notice, say, skipPair, withdraw } from "./server.js";

const at = (id) => document.getElementById(id);
const places = ["A", "B"].map((name) => at(`answer-${name}`));
const KEYS = { a: "A", b: "B", s: "same", x: "both bad" };

let running = null; // the AbortController of the answers that are being written
let shown = null; // the inferences of the two answers, as they stand on the page
let queued = null; // the number of the pair, if it comes from the queue
let own = null; // the conversation of a question of one's own

// ---------------------------------------------------------------- the pair that is needed most

/** Show it, or the form where none waits; with `isFocused` it gets the focus. */
async function following(isFocused) {
  try {
    notice(null);
    const pair = await nextPair();
    if (pair) showPair(pair);
    else showForm(true);
    if (isFocused) at(pair ? "answers" : "question").focus();
  } catch (error) {
    showForm(false);
    notice(error);
  }
}

function showPair(pair) {
  at("conversation").replaceChildren(...pair.messages.map(spoken));
  at("asked").classList.toggle("alone", pair.messages.length === 1);
  at("asked").hidden = at("other").hidden = at("answers").hidden = at("judge").hidden = false;
  at("ask").hidden = at("recorded").hidden = true;
  pair.answers.forEach((answer, index) => {
    places[index].querySelector(".text").textContent = answer.text;
    places[index].dataset.state = "stop";
  });
  own = null;
  shown = pair.answers.map((answer) => answer.inference_id);
  queued = pair.number;
}

function spoken(message) {
  const article = at(`${message.role}-template`).content.firstElementChild.cloneNode(true);
  article.querySelector(".text").textContent = message.content;
  return article;
}

async function skip() {
  try {
    await skipPair(queued);
  } catch (error) {
    return notice(error);
  }
  following(true);
}

// ---------------------------------------------------------------- a question of one's own

function showForm(isAllDone) {
  shown = queued = null;
  at("asked").hidden = at("answers").hidden = at("recorded").hidden = true;
  at("ask").hidden = false;
  at("none").hidden = !isAllDone;
  at("question").value = "";
}

async function both(question) {
  notice(null);
  const control = (running = new AbortController());
  const isSwapped = crypto.getRandomValues(new Uint8Array(1))[0] % 2 === 1;
  const inferences = [];
  prepare();
  const seen = (choice) => {
    const index = isSwapped ? 1 - choice.index : choice.index;
    const place = places[index];
    place.querySelector(".text").textContent += choice.delta.content ?? "";
    place.dataset.state = choice.finish_reason ?? "writing";
    inferences[index] = choice.inference_id;
  };
  try {
    await twice([{ role: "user", content: question }], control.signal, seen);
    shown = inferences;
    at("judge").hidden = false;
    at("answers").focus();
  } catch (error) {
    at("answers").hidden = true;
    const wasStopped = control.signal.aborted;
    control.abort(); // the other answer too
    if (!wasStopped) notice(error);
  } finally {
    busy(false);
  }
}

/** Two answers: one of each version, whichever of them serves, or two of the only one. */
async function twice(messages, signal, seen) {
  const conversation = (own = crypto.randomUUID());
  const agrees = at("agree").checked;
  const [serving, waiting] = await models(signal);
  if (!waiting) return ask(serving.id, messages, { conversation, agrees, n: 2, signal, seen });
  await Promise.all(
    [serving, waiting].map((model, index) =>
      ask(model.exact_id, messages, { conversation, agrees, signal, seen: (choice) => seen({ ...choice, index }) }),
    ),
  );
}

function prepare() {
  shown = null;
  for (const place of places) {
    place.querySelector(".text").textContent = "";
    place.dataset.state = "writing";
  }
  at("judge").hidden = at("recorded").hidden = at("other").hidden = at("none").hidden = true;
  at("answers").hidden = false;
  busy(true);
}

function busy(isBusy) {
  at("both").disabled = isBusy;
  at("stop").hidden = !isBusy;
}

// ---------------------------------------------------------------- judging

async function judge(choice) {
  if (!shown) return;
  const [a, b] = shown;
  shown = null; // one judgement, however often the key is pressed
  try {
    notice(null);
    await say("comparison", { a, b, choice, shown_first: "A" });
  } catch (error) {
    shown = [a, b];
    return notice(error);
  }
  at("judge").hidden = true;
  at("recorded").hidden = false;
  at("recorded-what").textContent = at("is-recorded").content.textContent;
  at("take-back").hidden = own === null;
  at("next").focus();
}

async function takeBack() {
  try {
    notice(null);
    await withdraw(own);
  } catch (error) {
    return notice(error);
  }
  at("recorded-what").textContent = at("taken-back").content.textContent;
  at("take-back").hidden = true;
  at("answers").hidden = true;
  at("next").focus();
}

at("ask").onsubmit = (event) => {
  event.preventDefault();
  const question = at("question").value;
  if (question.trim()) both(question);
};
at("stop").onclick = () => running.abort();
at("answers").addEventListener("keydown", (event) => {
  const choice = KEYS[event.key.toLowerCase()];
  if (choice && !event.ctrlKey && !event.metaKey && !event.altKey) judge(choice);
});
for (const button of at("judge").querySelectorAll("[data-choice]")) button.onclick = () => judge(button.dataset.choice);
at("next").onclick = () => following(true);
at("take-back").onclick = takeBack;
at("skip").onclick = skip;
at("own").onclick = () => {
  showForm(false);
  at("question").focus();
};

following(false);

// What the pages ask of the server: streamed answers, feedback, and what it remembers.

const told = (id) => document.getElementById(id).content.textContent;

/** An error that the reader is told in their own words. */
export class Told extends Error {}

/** The name under which this browser's judgements are kept: chance, and nothing about the person. */
export function rater() {
  let name = localStorage.getItem("strop.rater");
  if (!name) localStorage.setItem("strop.rater", (name = `browser-${crypto.randomUUID()}`));
  return name;
}

/** The models: first the one that serves, then a version that waits to be compared with it: [{id, exact_id}]. */
export async function models(signal) {
  return (await get("/v1/models", signal)).data;
}

/** Ask for `n` answers, which the server keeps if the person agrees; `seen(choice)` is called for each piece: {index, inference_id, delta: {content}, finish_reason}. */
export async function ask(model, messages, { conversation, agrees, n = 1, signal, seen }) {
  const body = { model, messages, n, stream: true, user: rater(), metadata: { conversation }, store: agrees };
  const answer = await post("/v1/chat/completions", body, signal);
  for await (const event of events(answer.body)) {
    if (event === "[DONE]") return;
    const chunk = JSON.parse(event);
    if (chunk.error) throw new Told(told("broken").replace("{reason}", chunk.error.message));
    for (const choice of chunk.choices) seen(choice);
    if (chunk.not_kept) notice(new Told(told("not-kept").replace("{reason}", chunk.not_kept)));
  }
  throw new Told(told("unreachable")); // the stream ended before its last event
}

/** Keep what a person says: of `target`, {inference_id} or {conversation_id}, or of two answers that the value names. */
export function say(kind, value, target = {}) {
  return post("/feedback", { kind, value, rater: rater(), ...target });
}

/** Delete what the server keeps of a conversation. */
export function withdraw(conversation) {
  return request("DELETE", `/conversations/${encodeURIComponent(conversation)}`);
}

/** The two answers that this person is to compare next: {number, messages, answers}; null if none wait. */
export async function nextPair() {
  return (await (await post("/pairs/next", { rater: rater() })).json()).pair;
}

/** Be shown this pair no more. */
export function skipPair(number) {
  return post("/pairs/skip", { pair: number, rater: rater() });
}

/** Who is signed in, as the page was told; null where no keys are needed. */
export const person = document.querySelector("meta[name=person]")?.content ?? null;

const SESSION = "strop.session";

/** The key under which this browser's person is remembered; null before the first fact, and for who is signed in: they are remembered by their name. */
export function key() {
  return person ? null : localStorage.getItem(SESSION);
}

/** Be the person of this key from now on. */
export function useKey(other) {
  localStorage.setItem(SESSION, other);
}

/** What is remembered of who is signed in, or else of this browser's person, oldest first: [{id, text, when}]. */
export async function facts() {
  return person || key() ? (await get("/memory/facts")).facts : [];
}

/** Remember a text, to which the person has agreed. Who is not signed in gets a key with the first one, drawn by chance: whoever has it is this person. */
export function addFact(text) {
  if (!person && !key()) useKey(`${crypto.randomUUID()}-${crypto.randomUUID()}`);
  return post("/memory/facts", { text, store: true });
}

export function editFact(id, text) {
  return request("PUT", `/memory/facts/${id}`, { text, store: true });
}

/** Forget one fact, or all. */
export function deleteFact(id) {
  return request("DELETE", id === undefined ? "/memory/facts" : `/memory/facts/${id}`);
}

/** The name under which this browser is signed in; null if it is not. */
export async function session() {
  return (await get("/session")).name;
}

/** Sign in with a key; whoever it opens nothing for is told so. */
export async function signIn(key) {
  const answer = await fetch("/session", { ...posted({ key }), method: "POST" }).catch(() => null);
  if (answer?.status === 401) throw new Told(told("refused"));
  await sent(answer ? Promise.resolve(answer) : Promise.reject(new TypeError()));
}

export function signOut() {
  return request("DELETE", "/session");
}

async function get(path, signal) {
  return (await request("GET", path, undefined, signal)).json();
}

function post(path, body, signal) {
  return request("POST", path, body, signal);
}

function request(method, path, body, signal) {
  return sent(fetch(path, { ...posted(body), method, signal }));
}

/** A request's body and headers; the token of the page tells the server that the page itself sends it. */
function posted(body) {
  const [session, token] = [key(), document.querySelector("meta[name=csrf]")?.content];
  const headers = {
    "Content-Type": "application/json",
    ...(session ? { "X-Strop-Session": session } : {}),
    ...(token ? { "X-Strop-CSRF": token } : {}),
  };
  return { headers, body: body && JSON.stringify(body) };
}

async function sent(request) {
  const answer = await request.catch((error) => {
    throw error.name === "AbortError" ? error : new Told(told("unreachable"));
  });
  if (answer.status === 401) location.assign("/sign-in"); // the session has ended
  if (answer.status === 429) throw new Told(told("busy").replace("{seconds}", answer.headers.get("Retry-After")));
  if (!answer.ok) throw new Told((await answer.json()).error.message);
  return answer;
}

/** The data of the server-sent events in a stream of bytes. */
async function* events(stream) {
  let left = "";
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Told(told("unreachable"));
    });
    if (done) return;
    const whole = (left + value).split("\n\n");
    left = whole.pop();
    for (const event of whole) if (event.startsWith("data: ")) yield event.slice(6);
  }
}

/** Show an error in the page's notice, or hide the notice. What is no word for the reader is a bug, and goes on. */
export function notice(error) {
  const place = document.getElementById("notice");
  place.hidden = !error;
  place.textContent = error ? error.message : "";
  if (error && !(error instanceof Told)) throw error;
}

// The conversations of this browser, of whoever is signed in their own, the newest first: {id, stars, consent,
// messages: [{role, content, state, inference, kept, thumb}]}. `consent`: whether the person agrees that the server keeps it.

import { person } from "./server.js";

const KEY = person ? `strop.conversations of ${person}` : "strop.conversations";

export function all() {
  return JSON.parse(localStorage.getItem(KEY) ?? "[]");
}

export function find(id) {
  return all().find((one) => one.id === id);
}

/** Keep a conversation, as the newest. Throws QuotaExceededError where the browser has no room left. */
export function keep(conversation) {
  write([conversation, ...all().filter((one) => one.id !== conversation.id)]);
}

export function remove(id) {
  write(all().filter((one) => one.id !== id));
}

export function removeAll() {
  localStorage.removeItem(KEY);
}

function write(conversations) {
  localStorage.setItem(KEY, JSON.stringify(conversations));
}

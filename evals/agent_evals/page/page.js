"use strict";
// Texts come from models and files: they are set as text, never as markup.
const $ = (id) => document.getElementById(id);
const lines = (id) => $(id).textContent.trim().split("\n").filter(Boolean);
const PAGE = 100;

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

// Theme: a choice is kept where the browser lets a file keep one.
const kept = {
  read: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
  write: (theme) => { try { localStorage.setItem("theme", theme); } catch { /* not kept */ } },
};
function show(theme) {
  document.documentElement.dataset.theme = theme;
  kept.write(theme);
}
for (const radio of document.querySelectorAll("[name=theme]")) {
  radio.addEventListener("change", () => show(radio.value));
  if (radio.value === kept.read()) { radio.checked = true; show(radio.value); }
}

// The list of cases.
const entries = lines("entries").map((line, number) => ({ ...JSON.parse(line), number }));
let transcripts = null;
let searched = null;
const transcript = (number) => (transcripts ??= lines("transcripts"))[number];
const OUTCOMES = {
  "decided right": (e) => e.decided,
  "decided wrong": (e) => !e.decided,
  called: (e) => e.decision === "called",
  answered: (e) => e.decision === "answered",
  malformed: (e) => e.decision === "malformed",
  error: (e) => e.decision === "error",
  "wrong call": (e) => e.right_call === false,
  "wrong answer": (e) => e.right_answer === false,
  "repeats a call": (e) => e.repeated > 0,
  looped: (e) => e.looped,
};
const filter = $("filter").elements;
const several = new Set(entries.map((e) => e.configuration)).size > 1;
const epochs = new Set(entries.map((e) => e.epoch)).size > 1;
let found = [];

function options(name, values) {
  for (const [value, count] of values) filter[name].append(new Option(`${value} (${count})`, value));
}
function counted(name) {
  const counts = new Map();
  for (const entry of entries) counts.set(entry[name], (counts.get(entry[name]) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}
for (const name of ["label", "subtype", "configuration"]) options(name, counted(name));
options("outcome", Object.entries(OUTCOMES).map(([name, is]) => [name, entries.filter(is).length]));
filter.configuration.parentElement.hidden = !several;

// A text is looked for as it stands in the JSON of a transcript.
function contains(text) {
  const needle = JSON.stringify(text).slice(1, -1).replaceAll("<", "\\u003c").toLowerCase();
  searched ??= lines("transcripts").map((line) => line.toLowerCase());
  return (entry) => searched[entry.number].includes(needle);
}

function update() {
  const tests = ["label", "subtype", "configuration"]
    .filter((name) => filter[name].value)
    .map((name) => (entry) => entry[name] === filter[name].value);
  if (filter.outcome.value) tests.push(OUTCOMES[filter.outcome.value]);
  if (filter.text.value.trim()) tests.push(contains(filter.text.value.trim()));
  found = entries.filter((entry) => tests.every((test) => test(entry)));
  $("list").replaceChildren();
  more();
}

function more() {
  const start = $("list").childElementCount;
  $("list").append(...found.slice(start, start + PAGE).map(item));
  const shown = $("list").childElementCount;
  $("more").hidden = shown === found.length;
  const of = found.length === entries.length ? "" : ` of ${entries.length}`;
  const runs = found.length === 1 && !of ? "run" : "runs";
  const part = shown < found.length ? `, the first ${shown} shown` : "";
  $("count").textContent = `${found.length}${of} ${runs}${part}`;
  return start;
}

function item(entry) {
  const right = entry.decided ? "right" : "wrong";
  const kind = [entry.decision, entry.label, entry.subtype];
  if (several) kind.push(entry.configuration);
  if (epochs) kind.push(`epoch ${entry.epoch}`);
  const details = element("details", "",
    element("summary", "",
      element("span", `verdict is-${right}`, right),
      element("span", "question", entry.question || entry.id),
      element("span", "kind", kind.join(" · "))));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(story(JSON.parse(transcript(entry.number))));
  });
  return element("li", "", details);
}

function story(run) {
  const parts = element("div", "transcript");
  const title = (...texts) => parts.append(element("h4", "", ...texts));
  const facts = (pairs) => {
    const list = element("dl");
    for (const [name, value] of pairs) {
      if (value !== null && value !== undefined && value !== "") {
        list.append(element("div", "", element("dt", "", name), element("dd", "", String(value))));
      }
    }
    parts.append(list);
  };
  parts.append(element("div", "said", run.question));
  run.calls.forEach((call, index) => {
    const state = call.valid ? call.outcome : `${call.outcome}, malformed`;
    title(`call ${index + 1}: `, element("b", "", call.name), ` (${state})`);
    parts.append(element("pre", "", JSON.stringify(call.arguments, null, 2)), element("pre", "", call.result));
  });
  if (run.interventions.length) title(`guard: ${run.interventions.join(", ")}`);
  title("answer");
  parts.append(element("div", "said", run.answer || "(none)"));
  if (run.message) title(`message: ${run.message}`);
  title("verdict");
  facts(Object.entries(run.verdict).map(([name, value]) => [name.replaceAll("_", " "), worded(value)]));
  title("run");
  facts([
    ["case", run.id], ["fixture", run.fixture], ["language", run.lang], ["pair", run.pair],
    ["family", run.family], ["split", run.split], ["configuration", run.configuration],
    ["ended", run.ended], ["turns", run.turns], ["seconds", run.seconds.toFixed?.(2)],
    ["first token, s", run.first_token_seconds?.toFixed?.(2)],
    ...Object.entries(run.usage).map(([name, value]) => [name.replaceAll("_", " "), value]),
    ["weights", run.model.hash],
  ]);
  for (const pre of parts.querySelectorAll("pre")) pre.tabIndex = 0;
  return parts;
}
const worded = (value) => (typeof value === "boolean" ? (value ? "yes" : "no") : value);

$("filter").addEventListener("input", update);
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("reset", () => setTimeout(update));
$("more").addEventListener("click", () => {
  const start = more();
  $("list").children[start].querySelector("summary").focus();
});
for (const button of document.querySelectorAll("[data-outcome]")) {
  button.addEventListener("click", () => {
    $("filter").reset();
    for (const name of ["label", "outcome", "configuration"]) filter[name].value = button.dataset[name];
    update();
    $("cases").scrollIntoView();
    filter.outcome.focus({ preventScroll: true });
  });
}
update();

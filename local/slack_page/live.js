"use strict";
// Replaces the parts that changed as the server says (SSE), and lets running times run.

const connection = document.getElementById("connection");
const panel = document.getElementById("panel");

// On a narrow window the panel is one line until it is unfolded; on a wide one it stands beside.
const narrow = matchMedia("(max-width: 60rem)");
const fold = () => { panel.open = !narrow.matches; };
narrow.addEventListener("change", fold);
fold();

function shown(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

function count() {
  const now = Date.now() / 1000;
  for (const element of document.querySelectorAll(".counting")) {
    const { since, until } = element.dataset;
    element.textContent = shown(until ? Number(until) - now : now - Number(since));
  }
}

function state(live) {
  connection.textContent = live ? "live" : "not live";
  connection.className = live ? "mark good" : "mark bad";
}

const events = new EventSource("/live");
events.onopen = () => state(true);
events.onerror = () => state(false);
events.onmessage = (event) => {
  for (const [id, html] of Object.entries(JSON.parse(event.data))) {
    document.getElementById(id).innerHTML = html;
  }
  count();
};

setInterval(count, 1000);
count();

"use strict";
document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const problem = document.getElementById("problem");
  const button = form.querySelector("button");
  button.disabled = true;
  problem.textContent = "";
  try {
    const answer = await fetch("/api/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ name: form.name.value, password: form.password.value }),
    });
    if (answer.ok) {
      const next = new URLSearchParams(location.search).get("next") || "/";
      location.assign(/^\/(?![/\\])/.test(next) ? next : "/"); // never to another site
      return;
    }
    const said = await answer.json();
    if (answer.status === 422) problem.textContent = "Give a name and a password.";
    else if (answer.status >= 500) problem.textContent = "pumpwatch cannot answer at the moment. Try again in some seconds.";
    else problem.textContent = said.detail;
  } catch {
    problem.textContent = "The service does not answer. Try again.";
  }
  button.disabled = false;
  form.password.value = "";
  form.password.focus();
});

// What the people of the stories about an incident do.

import { act, assert, origin, until } from "./browser.mjs";

/** Goes to the incident that is open, once there is one that can be undone. */
export async function openIncident(person) {
  await person.open("/incidents");
  await person.sees("Incident 1");
  await person.follow("Incident 1");
  await until("the incident to be whole", async () => (await act("whole")) === true);
  await person.page.reload();
}

/** Plans the undo and asks for approval; returns the case's name. */
export async function askForTheUndo(person, reason) {
  await person.press("Plan the undo");
  return askForThePlan(person, reason);
}

/** Waits for the plan that is being made, and asks for approval; returns the case's name. */
export async function askForThePlan(person, reason, look = async () => {}) {
  await person.page.waitForURL(/\/jobs\/\d+$/);
  await person.page.locator("main a.primary").click();
  await person.page.waitForURL(/\/plans\/[0-9a-f]{64}$/);
  await look();
  await person.fill("Why it should be applied", reason);
  await person.press("Ask for approval");
  await person.page.waitForURL(/\/cases\/[^/]+$/);
  return person.page.url().split("/").pop();
}

/** Applies what was approved and waits for what came of it. */
export async function applyIt(person, id) {
  await person.open(`/cases/${id}`);
  await person.press("Apply now");
  await person.jobIsDone();
  await person.open(`/cases/${id}`);
  await person.sees("verified");
}

/** Decides a case with the person's passkey. */
export async function decide(person, id, button, reason) {
  await person.open(`/cases/${id}`);
  const label = button.startsWith("Approve") ? "A word on it" : "Why it must not be done";
  await person.fill(label, reason);
  const told = person.page.waitForResponse((answer) => answer.url().endsWith("/decide/finish"));
  // What was taken leads to the same page anew.
  const anew = person.page.waitForEvent("load").catch(String);
  await person.press(button);
  const answer = await told;
  assert(answer.status() === 200, `${button}: ${answer.status()}`);
  await anew;
  assert(person.page.url() === `${origin}/cases/${id}`, person.page.url());
}

// From the alarm to the proven restore.

import { act, assert, origin, play, until } from "./browser.mjs";
import { applyIt, askForThePlan, decide, openIncident } from "./incident.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  const ben = await arrive("Ben");
  await ben.joinAs("approver", "viewer");
  await ben.sees("Could an agent delete your backups?");
  await anna.open("/incidents");
  await anna.sees("Nothing looked like a wipe");
  await anna.check("incidents-empty");
  await anna.open("/cases");
  await anna.sees("Nothing waits for people");
  await anna.check("cases-empty");
  await anna.open("/incidents");

  // Both pages are open, and nobody touches them.
  await act("wipe");
  await anna.sees("Incident 1");
  await anna.check("incidents");
  await ben.sees("incident open");

  await openIncident(anna);
  await anna.sees("proposed");
  await anna.page.getByText("The same as a table").click();
  await anna.check("incident");
  await anna.phone("incident-phone");
  await anna.page.locator("#lanes table").getByRole("link", { name: /^show the acts of|^Acts of/ }).first().click();
  await anna.page.waitForURL(/\/acts\?/);
  await anna.sees("truncate");
  await anna.check("acts");
  await anna.page.goBack();
  // A bar of a lane is a way to its acts by keyboard too; a time below the lanes narrows to it.
  await anna.page.locator("#lanes svg a").first().focus();
  await anna.page.keyboard.press("Enter");
  await anna.page.waitForURL(/\/acts\?/);
  await anna.open("/incidents/1");
  const times = anna.page.locator(".lane-axis a");
  const before = await times.allInnerTexts();
  await times.first().click();
  await until("the narrower time", async () => (await times.allInnerTexts()).join() !== before.join());

  await anna.submit("Stop them now");
  await anna.sees("contained");
  assert((await act("agent")) === "out", "the agent still gets in");

  await anna.press("Plan the undo");
  const id = await askForThePlan(anna, "The orders are gone", () => anna.check("plan"));
  await anna.sees("somebody else must decide it");
  await anna.check("case-own");
  assert((await anna.page.getByRole("button", { name: /Apply|Approve/ }).count()) === 0, "not approved, yet offered");

  await ben.open("/cases");
  await ben.sees("waits for you");
  await ben.check("cases");
  await ben.follow(id);
  await ben.page.waitForURL(`${origin}/cases/${id}`);
  await ben.check("case");
  await decide(ben, id, "Approve with a passkey", "I saw the lanes");
  await ben.sees("1 of 1 approval");
  assert((await ben.page.getByRole("button", { name: "Apply now" }).count()) === 0, "an approver may not apply");

  await applyIt(anna, id);
  await anna.check("case-applied");
  assert((await act("rows")) === "back", "the rows are not as before");

  await anna.open("/incidents/1");
  await until("the incident to be undone", async () => {
    await anna.page.reload();
    return (await anna.text()).includes("undone");
  });
  await anna.check("incident-undone");
  await anna.page.getByLabel("I know that this lets them in again").check();
  await anna.press("Take it back");
  await anna.page.waitForURL(/\/cases\/[^/]+$/);
  const letIn = anna.page.url().split("/").pop();
  await anna.sees("somebody else must decide it");
  await anna.check("case-let-in");
  assert((await act("agent")) === "out", "the agent is let in and nobody has approved it");
  await decide(ben, letIn, "Approve with a passkey", "");
  await anna.open(`/cases/${letIn}`);
  await anna.submit("Let them in now");
  await until("the agent to be let in", async () => (await act("agent")) === "in");

  await anna.open("/sources/shop");
  await anna.press("Hold a drill");
  await anna.jobIsDone();
  await anna.open("/drills/shop");
  await anna.sees("proven");
  await anna.follow("See it");
  await anna.check("certificate-of-a-database");
  await anna.printed("certificate-printed", 2);
  const download = await anna.download("Download");
  const verified = await act("verify", { path: await download.path() });
  assert(verified.vault_agrees === true, JSON.stringify(verified));
  assert(verified.certificate.statement.outcome === "proven", JSON.stringify(verified));
  await anna.open("/");
  await until("the posture after it", async () => !(await anna.text()).includes("incident open"));
});

// Nobody approves what they asked for; a refusal holds; and what was stored by an attacker never runs.

import { act, assert, origin, play } from "./browser.mjs";
import { askForTheUndo, decide, openIncident } from "./incident.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  const ben = await arrive("Ben");
  await ben.joinAs("approver");
  await act("wipe");
  await openIncident(anna);
  await anna.check("incident-with-hostile-names");
  const id = await askForTheUndo(anna, "<img src=x onerror=ran('reason')>");

  // Who asked is offered no decision, and cannot make one by hand.
  await anna.sees("somebody else must decide it");
  anna.expect(/40[0-9]/);
  const post = (person, address, form) =>
    person.page.evaluate(
      async ([address, form]) => {
        const { csrf } = document.body.dataset;
        const json = form && JSON.stringify(form);
        const headers = { "x-csrf-token": csrf, ...(json && { "content-type": "application/json" }) };
        const body = json ?? new URLSearchParams({ csrf });
        const answer = await fetch(address, { method: "POST", headers, body, redirect: "manual" });
        return answer.type === "opaqueredirect" ? 303 : answer.status;
      },
      [address, form],
    );
  const own = await post(anna, `/cases/${id}/decide/begin`, { decision: "approve", version: "1", reason: "" });
  assert(own === 403, `the one who asked began to approve: ${own}`);
  const early = await post(anna, `/cases/${id}/apply`);
  assert(early === 409, `what nobody approved was begun: ${early}`);

  await ben.open("/cases");
  await ben.check("cases-with-hostile-names");
  await decide(ben, id, "Refuse with a passkey", "Not before we know who it was <script>ran('refusal')</script>");
  await ben.sees("Not before we know who it was");
  await anna.page.reload();
  await anna.sees("Not before we know who it was");
  await anna.check("case-refused");
  assert((await anna.page.getByRole("button", { name: "Apply now" }).count()) === 0, "a refused plan is offered");
  const late = await post(anna, `/cases/${id}/apply`);
  assert(late === 409, `what was refused was begun: ${late}`);
  const api = await post(anna, `/api/v1/cases/${id}/apply`, {});
  assert(api === 409, `what was refused was begun by the API: ${api}`);
  assert((await act("rows")) === "gone", "a refused plan was applied");

  for (const page of ["/incidents", "/incidents/1", "/incidents/1/acts", "/cases", "/activity", "/browse/shop", "/"]) {
    await anna.open(page);
    assert(anna.page.url() === `${origin}${page}`, `${page} leads to ${anna.page.url()}`);
    await anna.page.waitForLoadState("networkidle").catch(() => {});
    anna.assertNoTrouble();
  }
  const shown = await anna.page.goto(`${origin}/incidents/1`).then(() => anna.text());
  assert(shown.includes("<img src=x"), "the hostile name is not shown as it is");
});

// The disk is full while people are at work.

import { act, assert, origin, play, until } from "./browser.mjs";

const PAGES = ["/", "/sources", "/sources/papers", "/browse/papers", "/incidents", "/cases", "/drills", "/people", "/activity"];

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner", "operator");
  const ben = await arrive("Ben");
  await ben.joinAs("viewer");
  for (const person of [anna, ben]) person.expect(/50[0-9]/);
  const visit = async (address) => {
    const status = await anna.open(address);
    return status;
  };
  for (const page of PAGES) assert((await visit(page)) === 200, `${page} was not answered before`);

  await act("fill");
  const filled = new Date().toISOString().slice(0, 19).replace("T", " ");
  // Whoever keeps the overview has looked since: what it then wanted to write, the key that signs certificates among it,
  // did not fit. What programs give back to the disk meanwhile is taken again.
  const asOf = async () => {
    await act("fill again");
    await visit("/");
    return (await anna.text()).match(/As of ([^.]*) UTC\./)[1];
  };
  await until("a look while the disk is full", async () => (await asOf()) >= filled, 90_000);
  // What is there is shown.
  for (const page of PAGES) {
    const status = await visit(page);
    assert(status === 200, `${page} was answered with ${status} while the disk is full`);
  }
  // What has to be written is refused, says why, and leaves nothing half done.
  const post = (address, fields) =>
    anna.page.evaluate(
      async ([address, fields]) => {
        const body = new URLSearchParams({ csrf: document.body.dataset.csrf, ...fields });
        const answer = await fetch(address, { method: "POST", body, redirect: "manual" });
        return { status: answer.status, text: answer.type === "opaqueredirect" ? "" : await answer.text() };
      },
      [address, fields],
    );
  const refused = async (what, address, fields) => {
    // What was being written behind the pages when the disk ran full gives back its room once it has failed.
    await act("fill again");
    const { status, text } = await post(address, fields);
    assert(status === 507 && text.includes("make room"), `${what}: ${status} ${text}`);
  };
  await anna.open("/people");
  await refused("a token", "/tokens", { name: "late", hours: "1", scope: "see" });
  await refused("an invitation", "/people/change", { edit: "invite", name: "mallory", role: "viewer" });
  await refused("a capture", "/sources/papers/capture", {});
  // Who logs in is told too, and is not let in halfway.
  await ben.context.clearCookies();
  await ben.open("/login");
  await act("fill again");
  await ben.page.getByRole("button").first().click();
  await until("the refusal", async () => /disk|room/.test(await ben.text()));
  assert(ben.page.url().startsWith(`${origin}/login`), ben.page.url());

  await act("room");
  // Everything goes on: the same session, the same people, new work.
  await anna.open("/people");
  const people = await anna.text();
  assert(!people.includes("mallory") && !people.includes("late"), "something was done halfway");
  const now = await post("/tokens", { name: "later", hours: "1", scope: "see" });
  assert(now.status === 200, `a token, with room: ${JSON.stringify(now)}`);
  await ben.open("/login");
  await ben.page.getByRole("button").first().click();
  await ben.page.waitForURL(`${origin}/`);
  await anna.open("/sources/papers");
  await anna.page.locator('form[action="/sources/papers/capture"] button').click();
  await anna.jobIsDone();
  for (const page of PAGES) assert((await visit(page)) === 200, `${page} was not answered afterwards`);
  assert((await act("sound")) === true, "the vault is damaged");
});

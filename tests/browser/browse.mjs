// A mail that an agent deleted is found, looked at, put into the basket and brought back. Another one is hostile.

import { act, assert, origin, play, until } from "./browser.mjs";
import { applyIt, askForThePlan, decide } from "./incident.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  const ben = await arrive("Ben");
  await ben.joinAs("approver");
  const { subject, hostile } = await act("letters");

  await anna.open("/browse");
  await anna.check("browse");
  const search = async (words, deleted) => {
    await anna.open("/browse");
    await anna.fill("Look for", words);
    if (deleted) await anna.page.getByLabel("also what was deleted").check();
    await anna.press("Search");
    await anna.page.waitForURL(/[?&]q=/);
  };
  const hits = () => anna.page.locator("main tbody tr").count();
  // The index is there once it has both: that the letter came, and that it went.
  await until("the index", async () => {
    await search("zanzibar", false);
    const still = await hits();
    await search("zanzibar", true);
    return still === 0 && (await hits()) > 0;
  });
  await anna.check("search");
  await search("zanzibar", false);
  await anna.sees("Nothing was found");
  await anna.check("search-nothing");
  await search("zanzibar", true);
  await anna.page.locator("main tbody a", { hasText: subject }).first().click();
  await anna.page.waitForURL(/\/items\?/);
  await anna.check("item-deleted");
  await until("the letter", async () => {
    if ((await anna.text()).includes("dhow")) return true;
    await anna.arriveBy(() => anna.page.locator("main tbody th a").last().click());
    return false;
  });
  await anna.check("item");
  await anna.submit("Put into the basket");
  await anna.open("/basket");
  await anna.sees(subject);
  await anna.check("basket");
  await anna.press("Plan the restore");
  const id = await askForThePlan(anna, "It was the contract", () => anna.check("plan-of-a-letter"));
  await decide(ben, id, "Approve with a passkey", "");
  await applyIt(anna, id);
  assert((await act("count")) === true, "the letter is not back");

  // What an attacker has put into subjects and file names is text everywhere.
  for (const words of ["malindi", "mombasa"]) {
    await search(words, true);
    await anna.page.locator("main tbody th a").first().click();
    await anna.page.waitForURL(/\/items\?/);
    await anna.page.waitForLoadState("networkidle").catch(() => {});
    const text = await anna.text();
    assert(text.includes(hostile), `the hostile name is not shown as it is: ${text.slice(0, 500)}`);
    await anna.check(`item-hostile-${words}`);
    await anna.arriveBy(() => anna.page.locator("main nav.crumbs a").last().click());
    await anna.check(`tree-hostile-${words}`);
  }
  assert(anna.page.url().startsWith(origin), anna.page.url());
});

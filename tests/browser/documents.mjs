// A vault that nobody can delete from, and what became of two documents in it: one for reading, one of data.

import { act, assert, play, until } from "./browser.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  await until("the first look", async () => (await anna.text()).includes("What the place of the vault stands up to"));
  const here = anna.page.locator(".ladder [aria-current=step]");
  assert((await here.innerText()).includes("Tier 3"), await here.innerText());
  await anna.check("posture-locked");

  const { documents } = await act("documents");
  for (const { key, looks, added, removed } of documents) {
    await anna.open(`/items?${new URLSearchParams({ source: "papers", stream: "files", key })}`);
    await anna.sees(/Versions \([2-9]\)/);
    await anna.check(`document-${looks}`);
    await anna.page.locator("input[name=from]").last().check();
    await anna.press("Compare the two");
    await anna.page.waitForURL(/[?&]from=/);
    const words = await anna.text();
    assert(words.includes(added) && words.includes(removed), words);
    await anna.check(`compare-${looks}`);
  }
});

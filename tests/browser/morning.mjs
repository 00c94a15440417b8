// What an owner opens every morning, by mouse and by keyboard alone.

import { act, assert, origin, play, until } from "./browser.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.open("/");
  await anna.check("login");
  await anna.joinAs("owner");

  await anna.sees("Could an agent delete your backups?");
  await until("the first look", async () => !(await anna.text()).includes("Looking for the first time"));
  await anna.check("posture");

  await anna.open("/sources");
  await until("the sources", async () => {
    await anna.page.reload();
    return (await anna.text()).includes("papers");
  });
  await anna.check("sources");
  await anna.follow("papers");
  await anna.check("source");

  await anna.press("Hold a drill");
  await anna.jobIsDone();
  await anna.check("job");
  await anna.open("/drills");
  await anna.sees("proven");
  await anna.check("drills");
  await anna.follow("papers");
  await anna.check("drills-of-a-source");
  await anna.follow("See it");
  await anna.check("certificate");
  const download = await anna.download("Download");
  const verified = await act("verify", { path: await download.path() });
  assert(verified.vault_agrees === true, JSON.stringify(verified));

  await anna.open("/doctor");
  await anna.check("doctor-empty");
  await anna.press("Examine now");
  await anna.jobIsDone();
  await anna.open("/doctor");
  await anna.sees("Evidence");
  await anna.check("doctor");

  await anna.open("/activity");
  await anna.sees("anna");
  await anna.check("activity");
  await anna.open("/people");
  await anna.check("people");

  anna.expect(/404/);
  assert((await anna.open("/nowhere")) === 404, "a page that is none");
  await anna.check("missing");

  await byKeyboard(anna);

  // Who reads without scripts reads the same.
  const reader = await arrive("Reader", { javaScriptEnabled: false });
  await reader.context.addCookies(await anna.context.cookies());
  await reader.open("/sources");
  assert((await reader.page.content()).includes("papers"), "without scripts nothing is there");
});

/** Goes through every part of the site with Tab and Enter. */
async function byKeyboard(person) {
  const { page } = person;
  await person.open("/");
  const focused = () =>
    page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      // Behind the last stop the focus is on the page itself.
      const visible = element === document.body || style.outlineStyle !== "none" || style.boxShadow !== "none";
      return { href: element.getAttribute("href"), visible, text: element.innerText };
    });
  await page.keyboard.press("Tab");
  const skip = await focused();
  assert(skip.href === "#main", `the first stop is ${JSON.stringify(skip)}`);
  await page.keyboard.press("Enter");
  assert(await page.evaluate(() => document.activeElement.id === "main"), "the way to the content leads there");

  const parts = await page.locator("nav.nav a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  assert(parts.length >= 8, `parts: ${parts}`);
  for (const part of parts) {
    const before = page.url();
    let at = null;
    for (let stop = 0; stop < 60 && at?.href !== part; stop += 1) {
      await page.keyboard.press("Tab");
      at = await focused();
      assert(at.visible, `what has the focus cannot be seen: ${JSON.stringify(at)}`);
    }
    assert(at.href === part, `${part} is not reached by Tab from ${before}`);
    const answered = page.waitForResponse((answer) => new URL(answer.url()).pathname === part);
    // The address alone does not tell that it is there: one of them is where we are already.
    await person.arriveBy(() => page.keyboard.press("Enter"));
    const answer = await answered;
    assert(answer.status() === 200, `${part} answered ${answer.status()}`);
    assert(page.url() === `${origin}${part}`, `${part} leads to ${page.url()}`);
    assert((await page.locator("nav.nav a[aria-current=page]").getAttribute("href")) === part, `${part} is not marked`);
  }
}

// A drill that fails is shown as failed, and no later one turns it green before a person has said that they saw it.

import { act, assert, play, until } from "./browser.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  const hold = async (word) => {
    await anna.open("/drills/papers");
    await anna.press("Hold a drill now");
    await anna.page.waitForURL(/\/jobs\/\d+$/);
    await anna.page.locator("main .state").first().waitFor();
    await anna.open("/drills/papers");
    const outcome = await anna.page.locator("main tbody tr").first().innerText();
    assert(outcome.toLowerCase().includes(word), `the newest drill is not ${word}: ${outcome}`);
  };
  const standing = () => anna.page.locator("main .head .state").innerText();

  await act("damage");
  await hold("failed");
  assert((await standing()) === "failed", await standing());
  await anna.check("drill-failed");
  await anna.follow("See it");
  await anna.sees("is damaged");
  await anna.check("certificate-failed");
  await anna.open("/drills");
  await anna.sees("failed");
  await anna.check("drills-failed");
  await anna.open("/");
  await until("the posture to say so", async () => {
    await anna.page.reload();
    return (await anna.text()).includes("failed");
  });
  await anna.check("posture-failed");

  await act("mend");
  await hold("proven");
  assert((await standing()) === "failed", "a drill that passes is not enough");
  await anna.fill("What happened", "a disk wrote another letter");
  await anna.submit("Acknowledge");
  await until("the standing", async () => {
    await anna.open("/drills/papers");
    return (await standing()) === "proven";
  });
  await anna.check("drill-acknowledged");
});

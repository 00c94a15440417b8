// Lends a person's session to a client of others.

import { act, play } from "./browser.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  const [cookie] = await anna.context.cookies();
  const csrf = await anna.page.evaluate(() => document.body.dataset.csrf);
  await act("judge", { cookie: `${cookie.name}=${cookie.value}`, csrf });
});

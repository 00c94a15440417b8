// Two people press at the same moment; a browser goes away in the middle of applying; the process is killed there.

import { act, assert, origin, play, until } from "./browser.mjs";

const standing = async (id) => act("unwipe", ["cases", "show", id]);

/** Returns how each application of a case stands, once the last one is over: a case is over before the job is. */
const applications = (id) =>
  until("the application to end", async () => {
    const states = await act("applications", id);
    return states.at(-1) === "running" ? null : states;
  });

/** Approves; returns what the server said in the end. */
async function approve(person, id) {
  const form = person.page.locator('form:has(input[name="decision"][value="approve"])');
  const isLast = (answer) => answer.url().endsWith("/decide/finish") || (answer.url().endsWith("/decide/begin") && answer.status() !== 200);
  const told = person.page.waitForResponse((answer) => answer.url().includes(`/cases/${id}/`) && isLast(answer));
  // What was taken, and what came too late, leads to the page anew; whatever is done before that would meet a page that goes
  // away.
  const anew = person.page.waitForEvent("load").catch(String);
  await form.locator("button").click();
  const answer = await told;
  if ([200, 409].includes(answer.status())) await anew;
  return answer.status();
}

/** Has both approve at the same moment; whoever came second and is told to look again does so, if that is still needed. */
async function approveAtOnce(people, id, needed) {
  for (const person of people) await person.open(`/cases/${id}`);
  const said = await Promise.all(people.map((person) => approve(person, id)));
  assert(said.includes(200) && said.every((status) => [200, 403, 409].includes(status)), `approving: ${said}`);
  for (const [which, person] of people.entries()) {
    if (said[which] === 200 || needed === 1) continue;
    if (said[which] === 409) assert((await person.text()).includes("changed since you looked"), await person.text());
    else await person.open(`/cases/${id}`);
    const again = await approve(person, id);
    assert(again === 200, `approving again: ${again}`);
  }
  const { state, decisions } = await standing(id);
  assert(state.state === "approved", JSON.stringify(state));
  const names = decisions.map((decided) => decided.person);
  assert(new Set(names).size === names.length, `somebody counts twice: ${names}`);
  assert(needed === 1 ? names.length >= 1 : names.length === needed, `approved by ${names}`);
}

/** Has both press the button that applies at the same moment; returns the address of the one job that does it. */
async function applyAtOnce(people, id) {
  const press = async (person) => {
    await person.open(`/cases/${id}`);
    return person.page.locator(`form[action="/cases/${id}/apply"] button`);
  };
  const buttons = await Promise.all(people.map(press));
  const answers = await Promise.all(
    people.map(async (person, which) => {
      const told = person.page.waitForResponse((answer) => answer.url().endsWith(`/cases/${id}/apply`));
      await buttons[which].click();
      return (await told).status();
    }),
  );
  assert(answers.every((status) => [303, 409].includes(status)), `applying: ${answers}`);
  const first = people[answers.indexOf(303)];
  await first.page.waitForURL(/\/jobs\/\d+$/);
  return new URL(first.page.url()).pathname;
}

const ends = (person) => person.page.locator("main .state.good").first().waitFor();

await play(async (arrive) => {
  const anna = await arrive("Anna");
  const ben = await arrive("Ben");
  const cleo = await arrive("Cleo");
  // A connection that ends with the process, and what was refused because somebody was faster, are what is looked for.
  for (const person of [anna, ben, cleo]) {
    person.expect(/40[39]|ERR_|\[object Event\]/);
    await person.joinAs("approver", "operator");
  }

  // Two are needed, and both press at once.
  const first = await act("ask", 2);
  await approveAtOnce([anna, ben], first, 2);
  await act("hold");
  const job = await applyAtOnce([anna, ben], first);
  await until("the application to be in the middle", () => act("held"));
  // Everybody goes; the work does not.
  const cookies = await anna.context.cookies();
  await ben.open("/");
  await anna.context.close();
  const again = await arrive("Anna again");
  again.expect(/ERR_|\[object Event\]/);
  await again.context.addCookies(cookies);
  await again.open(job);
  await again.page.locator("main progress").waitFor();
  // The page hears what happens after its connection was cut.
  await again.context.setOffline(true);
  await again.context.setOffline(false);
  await act("release");
  await ends(again);
  const applied = await standing(first);
  assert(applied.state.state === "applied" && applied.state.verified === true, JSON.stringify(applied.state));
  const once = await applications(first);
  assert(once.length === 1 && once[0] === "done", `applied ${once}`);

  // One is enough, and both press at once.
  const second = await act("ask", 1);
  await approveAtOnce([cleo, ben], second, 1);
  await act("hold");
  await ben.open(`/cases/${second}`);
  await ben.page.locator(`form[action="/cases/${second}/apply"] button`).click();
  await ben.page.waitForURL(/\/jobs\/\d+$/);
  await until("the application to be in the middle", () => act("held"));
  assert((await act("rows")) === false, "it was over before it was killed");
  await act("kill");
  const between = await standing(second);
  assert(between.state.state === "applying", JSON.stringify(between.state));
  // Whoever goes on with it waits for what the killed process began, but not for long.
  await act("serve");
  await act("release");
  // The page that was open finds the new process, and follows what goes on with the work.
  await ben.page.locator("main", { hasText: "went on with it" }).waitFor();
  await ends(ben);
  await until("the case to end", async () => (await standing(second)).state.state !== "applying");
  const { state } = await standing(second);
  assert(state.state === "applied" && state.verified === true, JSON.stringify(state));
  await ben.open(`/cases/${second}`);
  await ends(ben);
  const twice = await applications(second);
  assert(twice.length === 2 && twice[1] === "done", `applied ${twice}`);
  assert((await act("rows")) === true, "the rows are not as before");
  assert(ben.page.url() === `${origin}/cases/${second}`, ben.page.url());
});

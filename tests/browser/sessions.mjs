// Sessions that are over, forms that are stale, and requests of people who have logged out.

import { assert, origin, play } from "./browser.mjs";

await play(async (arrive) => {
  const anna = await arrive("Anna");
  await anna.joinAs("owner");
  anna.expect(/40[0-9]/);
  // The page that is open hears nothing any more once its session is over.
  anna.expect(/\[object Event\]/);
  const { request } = anna.context;
  const csrf = () => anna.page.evaluate(() => document.body.dataset.csrf);
  const headers = { origin };

  // A form of another session, and one without.
  const before = await csrf();
  for (const form of [{}, { csrf: "" }, { csrf: "0".repeat(64) }]) {
    const answer = await request.post(`${origin}/logout`, { form, headers, maxRedirects: 0 });
    assert(answer.status() === 403, `a stale form was answered with ${answer.status()}`);
  }
  const foreign = await request.post(`${origin}/logout`, { form: { csrf: before }, headers: { origin: "https://evil.example" } });
  assert(foreign.status() === 403, `another site's form was answered with ${foreign.status()}`);

  // The page of a session that ended elsewhere: a form leads to the door and does nothing.
  const [cookie] = await anna.context.cookies();
  assert(cookie.httpOnly && cookie.sameSite === "Lax", JSON.stringify(cookie));
  await anna.open("/people");
  const other = await arrive("Other");
  await other.context.addCookies([cookie]);
  await other.open("/");
  await other.press("Log out");
  await other.page.waitForURL(`${origin}/login`);
  await anna.fill("Name of the account", "mallory");
  await anna.page.getByLabel("viewer").first().check();
  await anna.press("Invite");
  await anna.page.waitForURL(/\/login/);
  await anna.check("expired");
  await anna.logIn();
  await anna.open("/people");
  assert(!(await anna.text()).includes("mallory"), "a form of an ended session was taken");

  // A form of the session before, in a new one.
  const old = await anna.page.evaluate(async (csrf) => {
    const body = new URLSearchParams({ csrf, edit: "invite", name: "mallory", role: "viewer" });
    const answer = await fetch("/people/change", { method: "POST", body });
    return { status: answer.status, text: await answer.text() };
  }, before);
  assert(old.status === 403 && old.text.includes("not from your session"), JSON.stringify(old));

  // Where one wanted to go is where one arrives; other sites are none.
  await anna.context.clearCookies();
  await anna.open("/drills");
  assert(anna.page.url() === `${origin}/login?next=%2Fdrills`, anna.page.url());
  await anna.logIn("/drills");
  await anna.context.clearCookies();
  await anna.open("/login?next=%2F%2Fevil.example");
  await anna.logIn("/");

  // A part of a page that is asked for after logging out: the whole page goes to the door.
  await anna.context.clearCookies();
  const part = await request.get(`${origin}/incidents`, { headers: { "hx-request": "true" }, maxRedirects: 0 });
  const told = part.headers();
  assert(told["hx-redirect"]?.startsWith("/login"), `${part.status()} ${JSON.stringify(told)}`);
  for (const address of ["/events/overview", "/events/incidents"]) {
    const stream = await request.get(`${origin}${address}`, { maxRedirects: 0 });
    assert(stream.status() === 401, `${address} answered ${stream.status()}`);
  }
  const call = await request.get(`${origin}/api/v1/posture`);
  assert(call.status() === 401, `the API answered ${call.status()}`);

  // More tabs than a browser has connections to a site: those that nobody sees hold none.
  await anna.open("/login");
  await anna.logIn("/");
  const show = (page, hidden) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
  const tabs = [];
  for (let tab = 0; tab < 8; tab += 1) {
    const page = await anna.context.newPage();
    await page.goto(`${origin}/incidents`);
    await show(page, true);
    tabs.push(page);
  }
  // Seen again, a tab listens again.
  const listens = tabs[0].waitForRequest((asked) => asked.url().includes("/events/incidents"));
  await show(tabs[0], false);
  await listens;
});

// A browser with several people in it, each with a passkey of their own, and what must hold of every page.
//
// The story that started this process plays the other side: `act` asks it to do something and waits for the answer.
// Its words go over standard output and input, one JSON document a line.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const modules = new URL("../../.tools/node/node_modules/", import.meta.url);
const { chromium } = await import(new URL("playwright-core/index.mjs", modules));
const axe = readFileSync(fileURLToPath(new URL("axe-core/axe.min.js", modules)), "utf8");

export const origin = process.env.ORIGIN;
const gallery = process.env.UNWIPE_GALLERY;
const kind = process.env.UNWIPE_GALLERY_TYPE ?? "webp";

// How long something may take that takes a second, and a whole story, on a machine that may be very busy.
const PATIENCE_MS = 120_000;
const STORY_MS = 780_000;
const WIDE = { width: 1280, height: 860 };
const NARROW = { width: 360, height: 780 };
// What the pages promise: WCAG 2.2, levels A and AA, and what is good practice beside it.
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the story do something; returns what it answers. */
export async function act(name, values = null) {
  process.stdout.write(`${JSON.stringify({ act: name, with: values })}\n`);
  const { value, done } = await lines.next();
  if (done) throw new Error(`nobody does ${name}`);
  return JSON.parse(value);
}

/** Stops the story unless something is so. */
export function assert(is, what) {
  if (!is) throw new Error(what);
}

/** Tries until something is so. */
export async function until(what, is, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await is();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited for ${what} in vain`);
    await new Promise((wake) => setTimeout(wake, 200));
  }
}

/** Plays a story: what it throws is said, and the process ends with 1. */
export async function play(story) {
  const alarm = setTimeout(() => fail(new Error("the story took too long")), STORY_MS);
  const browser = await chromium.launch({
    executablePath: process.env.UNWIPE_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const people = [];
  const fail = async (error) => {
    process.stderr.write(`${error.stack ?? error}\n`);
    for (const person of people) await person.lastWords();
    await browser.close().catch(String);
    process.exit(1);
  };
  try {
    await story((name, options) => Person.arrive(browser, people, name, options));
    for (const person of people) person.assertNoTrouble();
    await browser.close();
    clearTimeout(alarm);
    process.stdout.write(`${JSON.stringify({ end: true })}\n`);
    process.exit(0);
  } catch (error) {
    await fail(error);
  }
}

/** Names what makes a page wider than its window; nothing when it is not. Runs in the page. */
function sticksOut() {
  const room = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= room) return [];
  const own = (element) => getComputedStyle(element).overflowX === "visible";
  const isWide = (element) => element.getBoundingClientRect().right > room + 0.5;
  const inBox = (element) => element !== document.body && (!own(element.parentElement) || inBox(element.parentElement));
  const wide = [...document.body.querySelectorAll("*")].filter((element) => isWide(element) && !inBox(element));
  return wide.slice(-4).map((element) => `${element.outerHTML.slice(0, 120)} in ${element.parentElement.className}`);
}

/** Somebody with a browser of their own and, once they have joined, a passkey. */
class Person {
  static async arrive(browser, people, name, { javaScriptEnabled = true } = {}) {
    const context = await browser.newContext({
      viewport: WIDE,
      colorScheme: "light",
      reducedMotion: "reduce",
      javaScriptEnabled,
      locale: "en-GB",
      timezoneId: "UTC",
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const person = new Person(name, context, page, await context.newCDPSession(page));
    people.push(person);
    await person.listen();
    return person;
  }

  constructor(name, context, page, devtools) {
    Object.assign(this, { name, context, page, devtools, troubles: [], expected: [] });
  }

  /** Whatever a page does that it must not do is a trouble: it stops the story at the next look. */
  async listen() {
    const { page, context, troubles } = this;
    const note = (text) => {
      if (!this.expected.some((pattern) => pattern.test(text))) troubles.push(`${page.url()}: ${text}`);
    };
    context.on("request", (request) => {
      if (!request.url().startsWith(`${origin}/`)) note(`asked a third party: ${request.url()}`);
    });
    page.on("console", (message) => {
      if (message.type() === "error") note(`console: ${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => note(`script: ${error}`));
    page.on("dialog", async (dialog) => {
      note(`dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    // What stored text would call if it ran.
    await context.exposeBinding("ran", (_, what) => note(`stored text ran: ${what}`));
    await context.exposeBinding("violated", (_, what) => note(`content policy: ${what}`));
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) =>
        window.violated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`),
      );
    });
    await this.devtools.send("WebAuthn.enable");
    await this.devtools.send("WebAuthn.addVirtualAuthenticator", {
      options: {
        protocol: "ctap2",
        transport: "internal",
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
  }

  /** Lets the next troubles of a kind be. */
  expect(pattern) {
    this.expected.push(pattern);
  }

  assertNoTrouble() {
    assert(this.troubles.length === 0, `${this.name}: ${this.troubles.join("\n")}`);
  }

  async lastWords() {
    const text = await this.page.evaluate(() => document.body?.innerText ?? "").catch(String);
    process.stderr.write(`--- ${this.name} at ${this.page.url()}\n${text.slice(0, 4000)}\n`);
    for (const trouble of this.troubles) process.stderr.write(`trouble: ${trouble}\n`);
    if (process.env.UNWIPE_LAST) {
      mkdirSync(process.env.UNWIPE_LAST, { recursive: true });
      await this.page.screenshot({ path: join(process.env.UNWIPE_LAST, `${this.name}.png`) }).catch(String);
    }
  }

  /** Opens an invitation, makes a passkey and logs in with it. */
  async join(invitation) {
    await this.page.goto(invitation);
    await this.press("Make a passkey");
    await this.page.waitForURL(`${origin}/login`);
    await this.logIn();
  }

  async logIn(next = "/") {
    await this.press("Log in with a passkey");
    await this.page.waitForURL(`${origin}${next}`);
  }

  /** Joins by an invitation that whoever runs the host makes. */
  async joinAs(...roles) {
    const named = roles.flatMap((role) => ["--role", role]);
    const { invited } = await act("unwipe", ["person", "invite", this.name.toLowerCase(), "--display", this.name, ...named]);
    await this.join(invited.url);
  }

  async open(address) {
    const answer = await this.page.goto(`${origin}${address}`);
    return answer.status();
  }

  async press(name) {
    await this.page.getByRole("button", { name, exact: true }).first().click();
  }

  /** Does what leads to a page, another one or the same anew, and waits until that is there. */
  async arriveBy(act) {
    await Promise.all([this.page.waitForEvent("load"), act()]);
  }

  /** Presses a button that leads to a page. */
  async submit(name) {
    await this.arriveBy(() => this.press(name));
  }

  link(name) {
    return this.page.getByRole("main").getByRole("link", { name }).first();
  }

  async follow(name) {
    await this.arriveBy(() => this.link(name).click());
  }

  /** Follows a link to a file; returns it. */
  async download(name) {
    const [download] = await Promise.all([this.page.waitForEvent("download"), this.link(name).click()]);
    return download;
  }

  async fill(label, text) {
    await this.page.getByLabel(label).first().fill(text);
  }

  async sees(text, patience = PATIENCE_MS) {
    await this.page.getByText(text).first().waitFor({ state: "visible", timeout: patience });
  }

  async text() {
    // A page that is on its way has no body yet.
    await this.page.waitForLoadState();
    return this.page.evaluate(() => document.body.innerText);
  }

  /** Waits until the job whose page opens is done. */
  async jobIsDone() {
    await this.page.waitForURL(/\/jobs\/\d+$/);
    const end = this.page.locator("main .state").first();
    await end.waitFor();
    assert((await end.innerText()).toLowerCase() === "done", `the job is ${await end.innerText()}`);
  }

  async in(theme) {
    await this.page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  }

  /** Looks at the page that is open: whether everybody can use it, in light and dark, wide and narrow. */
  async check(name) {
    await this.page.waitForLoadState();
    const found = [];
    for (const [theme, size] of [["light", WIDE], ["dark", WIDE], ["light", NARROW]]) {
      await this.in(theme);
      await this.page.setViewportSize(size);
      const where = `${name} (${theme}, ${size.width} px)`;
      for (const violation of await this.judge()) found.push(`${where}: ${violation}`);
      for (const widest of await this.page.evaluate(sticksOut)) found.push(`${where}: wider than the window: ${widest}`);
    }
    await this.page.setViewportSize(WIDE);
    await this.in("light");
    assert(found.length === 0, found.join("\n"));
    this.assertNoTrouble();
    await this.picture(name);
  }

  /** Has axe-core look at the page. It comes in over the developer's way, so the page's policy stays as it is. */
  async judge() {
    const run = (expression) =>
      this.devtools.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    await run(`typeof axe === "object" || (() => { ${axe} })()`);
    const options = { runOnly: { type: "tag", values: RULES }, resultTypes: ["violations"] };
    const { result, exceptionDetails } = await run(`axe.run(document, ${JSON.stringify(options)})`);
    assert(!exceptionDetails, JSON.stringify(exceptionDetails));
    const { violations } = result.value;
    return violations.map(({ id, help, nodes }) => {
      const places = nodes.slice(0, 3).map((node) => `${node.target.join(" ")}: ${node.failureSummary}`);
      return `${id}: ${help}\n  ${places.join("\n  ")}`;
    });
  }

  /** Keeps a picture of the page in both themes, when pictures are wanted. */
  async picture(name, { width = WIDE.width, height = 1100 } = {}) {
    if (!gallery) return;
    mkdirSync(gallery, { recursive: true });
    await this.page.setViewportSize({ width, height: 480 });
    const whole = await this.page.evaluate(() => document.documentElement.scrollHeight);
    await this.page.setViewportSize({ width, height: Math.min(Math.max(whole, 620), height) });
    await this.page.evaluate(() => scrollTo(0, 0));
    await this.page.mouse.move(0, 0);
    for (const theme of ["light", "dark"]) {
      await this.in(theme);
      await this.keep(`${name}-${theme}`);
    }
    await this.in("light");
    await this.page.setViewportSize(WIDE);
  }

  async keep(name) {
    const format = kind === "png" ? { format: "png" } : { format: kind, quality: 80 };
    const shot = await this.devtools.send("Page.captureScreenshot", format);
    writeFileSync(join(gallery, `${name}.${kind}`), Buffer.from(shot.data, "base64"));
  }

  /** Keeps a picture of the page on a phone. */
  async phone(name) {
    await this.picture(name, { ...NARROW, height: 1100 });
  }

  /** Looks at the page as it is printed: on so many sheets of A4 at most, black on white. */
  async printed(name, sheets) {
    const pdf = await this.page.pdf({ preferCSSPageSize: true });
    const found = pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
    assert(found <= sheets, `${name} takes ${found} sheets`);
    if (!gallery) return;
    mkdirSync(gallery, { recursive: true });
    // What chooses the dark colours on a screen must not blacken paper.
    await this.page.emulateMedia({ media: "print", colorScheme: "dark" });
    // The room for writing of a sheet, with its margins.
    await this.page.setViewportSize({ width: 794, height: 1123 });
    await this.page.evaluate(() => (document.body.style.padding = "60px 57px"));
    await this.keep(name);
    await this.page.evaluate(() => (document.body.style.padding = ""));
    await this.page.emulateMedia({ media: null, colorScheme: "light", reducedMotion: "reduce" });
    await this.page.setViewportSize(WIDE);
  }
}

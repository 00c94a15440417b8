// Passkeys, copying a command, the theme, tabs that nobody sees. Everything else is HTML from the server.
"use strict";

const toBytes = (text) => {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(padded), (character) => character.charCodeAt(0));
};

const toText = (buffer) => {
  const bytes = new Uint8Array(buffer);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

// Options come as the standard's JSON form: byte strings in base64url.
const readOptions = (options) => {
  const read = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: toBytes(options.user.id) };
  const ids = (list) => list.map((entry) => ({ ...entry, id: toBytes(entry.id) }));
  if (options.excludeCredentials) read.excludeCredentials = ids(options.excludeCredentials);
  if (options.allowCredentials) read.allowCredentials = ids(options.allowCredentials);
  return read;
};

const writeCredential = (credential) => {
  const { response } = credential;
  const written = {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: { clientDataJSON: toText(response.clientDataJSON) },
  };
  if (response.attestationObject) {
    written.response.attestationObject = toText(response.attestationObject);
    written.response.transports = response.getTransports?.() ?? [];
    written.response.authenticatorData = toText(response.getAuthenticatorData());
    const publicKey = response.getPublicKey();
    written.response.publicKey = publicKey ? toText(publicKey) : null;
    written.response.publicKeyAlgorithm = response.getPublicKeyAlgorithm();
  } else {
    written.response.authenticatorData = toText(response.authenticatorData);
    written.response.signature = toText(response.signature);
    written.response.userHandle = response.userHandle ? toText(response.userHandle) : null;
  }
  return written;
};

const send = async (address, body) => {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json", "x-csrf-token": document.body.dataset.csrf ?? "" },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  const told = text ? JSON.parse(text) : {};
  if (!answer.ok) {
    const said = [told.title, told.hint].filter(Boolean).join(": ") || answer.statusText;
    throw Object.assign(new Error(said), { next: told.next });
  }
  return told;
};

// A form with data-passkey="create" or "get" begins at its data-begin, and ends at its data-finish.
const holdCeremony = async (form) => {
  const values = Object.fromEntries(new FormData(form));
  if (form.dataset.passkey === "create") values.invitation = location.hash.slice(1);
  const ceremony = await send(form.dataset.begin, values);
  const publicKey = readOptions(ceremony.options.publicKey ?? ceremony.options);
  const credential =
    form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey })
      : await navigator.credentials.get({ publicKey });
  return send(form.dataset.finish, {
    ...values,
    ceremony: ceremony.id,
    response: writeCredential(credential),
  });
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.passkey) return;
  event.preventDefault();
  const note = form.querySelector("[role=alert]");
  const button = form.querySelector("button[type=submit], button:not([type])");
  note.textContent = "";
  button.disabled = true;
  try {
    const told = await holdCeremony(form);
    location.assign(told.next ?? "/");
  } catch (error) {
    // A page that is behind is left for the one that shows how things are now.
    if (error.next) return location.assign(error.next);
    note.textContent =
      error.name === "NotAllowedError" ? "The passkey was not used. Try again when you are ready." : error.message;
    button.disabled = false;
  }
});

// On a narrow screen the parts of the site are in one row that scrolls. Only the row is moved: to scroll the link itself
// into view would also move where Tab begins.
const here = document.querySelector(".nav a[aria-current]");
if (here) {
  const row = here.closest("ul");
  const [link, list] = [here.getBoundingClientRect(), row.getBoundingClientRect()];
  row.scrollLeft += link.left - list.left - (list.width - link.width) / 2;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = before), 1500);
  }
  const theme = event.target.closest("[data-theme-next]");
  if (theme) {
    const root = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const next = (root.dataset.theme ?? (dark ? "dark" : "light")) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    document.querySelector("link[data-dark]").media = next === "dark" ? "screen" : "not all";
    document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
  }
});

// A browser keeps six connections to a site, and a page that listens holds one: with seven open, none would load any
// more. A page that nobody sees lets go of its own, and asks how things are once it is seen again.
document.addEventListener("visibilitychange", () => {
  for (const listener of document.querySelectorAll("[sse-connect]")) {
    if (document.hidden) {
      htmx.trigger(listener, "htmx:beforeCleanupElement");
    } else {
      // What has not changed is not begun anew.
      listener.dataset.seenAt = String(Date.now());
      htmx.process(listener);
    }
  }
});

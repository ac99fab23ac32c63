// What the examples for Node share: prints flags now, and again whenever the provider says that they may be others.
// Flags are given as KEY=DEFAULT; the type of the default, which is JSON, is the type that is asked for.

import { OpenFeature, ProviderEvents } from "@openfeature/server-sdk";

const client = OpenFeature.getClient();
const calls = {
  boolean: (...of) => client.getBooleanDetails(...of),
  string: (...of) => client.getStringDetails(...of),
  number: (...of) => client.getNumberDetails(...of),
  object: (...of) => client.getObjectDetails(...of),
};

/** What is on the command line: where the sidecar is, who is asked for, and which flags. */
export function asked() {
  const [socket, context, ...flags] = process.argv.slice(2);
  return { socket, context: JSON.parse(context), flags: flags.map(withDefault) };
}

function withDefault(flag) {
  const at = flag.indexOf("=");
  return [flag.slice(0, at), JSON.parse(flag.slice(at + 1))];
}

/** Prints why, then each flag: its value, variant, and reason or error. */
export async function show(why, { context, flags }) {
  console.log(why);
  for (const [key, fallback] of flags) {
    const found = await calls[typeof fallback](key, fallback, context);
    const reason = found.errorCode ?? found.reason;
    console.log(`${key} = ${JSON.stringify(found.value)} (${found.variant || "-"}, ${reason})`);
  }
  console.log();
}

/** Shows flags when the provider is ready, each time that it has connected again, and when flags changed. */
export function follow(provider, asked) {
  let last = Promise.resolve();
  const next = (why, flags) => {
    last = last.then(() => show(why, { ...asked, flags }));
  };
  OpenFeature.addHandler(ProviderEvents.Ready, () => next("ready", asked.flags));
  OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, (event) =>
    next(`changed: ${event.flagsChanged.join(" ")}`, asked.flags),
  );
  OpenFeature.addHandler(ProviderEvents.Stale, () => next("the sidecar is away", []));
  OpenFeature.setProvider(provider);
}

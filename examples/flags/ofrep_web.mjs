// Flags of a sidecar by the provider for browsers of OpenFeature's Remote Evaluation Protocol, which asks for all flags of
// a user at once, over TCP, keeps them, and asks again when the sidecar's stream says so. A page needs the last lines
// alone, with nothing but `baseUrl`: its browser has events and says whose page it is. Node does neither.
//
// npm install @openfeature/web-sdk @openfeature/ofrep-web-provider undici@6
// node ofrep_web.mjs URL CONTEXT KEY=DEFAULT...

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";
import { EventSource } from "undici";

globalThis.EventSource = EventSource;
const ofPage = (url, options) => {
  const headers = new Headers(options.headers);
  headers.set("origin", "http://localhost:5173");
  return fetch(url, { ...options, headers });
};

const [baseUrl, context, ...flags] = process.argv.slice(2);
const client = OpenFeature.getClient();
const calls = {
  boolean: (...of) => client.getBooleanDetails(...of),
  string: (...of) => client.getStringDetails(...of),
  number: (...of) => client.getNumberDetails(...of),
  object: (...of) => client.getObjectDetails(...of),
};

/** Prints why, then each flag: its value, variant, and reason or error. */
function show(why) {
  console.log(why);
  for (const flag of flags) {
    const at = flag.indexOf("=");
    const [key, fallback] = [flag.slice(0, at), JSON.parse(flag.slice(at + 1))];
    const found = calls[typeof fallback](key, fallback);
    const reason = found.errorCode ?? found.reason;
    console.log(`${key} = ${JSON.stringify(found.value)} (${found.variant || "-"}, ${reason})`);
  }
  console.log();
}

OpenFeature.addHandler(ProviderEvents.ConfigurationChanged, () => show("changed"));
await OpenFeature.setContext(JSON.parse(context));
await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl, fetchImplementation: ofPage }));
show("ready");

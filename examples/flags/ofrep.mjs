// Flags of a sidecar by the provider for Node of OpenFeature's Remote Evaluation Protocol, which asks the sidecar for
// each evaluation. It has no events: who wants to know of changes reads the sidecar's stream, as here.
//
// npm install @openfeature/server-sdk @openfeature/ofrep-provider @openfeature/ofrep-core@0.1 undici@6
// node ofrep.mjs SOCKET CONTEXT KEY=DEFAULT...

import { setTimeout } from "node:timers/promises";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";
import { Agent } from "undici";
import { asked, show } from "./show.mjs";

const question = asked();
const dispatcher = new Agent({ connect: { socketPath: question.socket } });
const overSocket = (url, options) => fetch(url, { ...options, dispatcher });

/** Gives "ready" with each connection, and "changed" whenever flags may be others. */
async function* changes() {
  for (;;) {
    try {
      const stream = await overSocket("http://localhost/ofrep/v1/events");
      if (!stream.ok) throw new Error(`the stream was answered with ${stream.status}`);
      yield "ready";
      let unread = "";
      for await (const text of stream.body.pipeThrough(new TextDecoderStream())) {
        const events = (unread + text).split("\n\n");
        unread = events.pop();
        if (events.some((event) => event.includes("refetchEvaluation"))) yield "changed";
      }
    } catch (error) {
      console.error(`the sidecar is away: ${error.cause?.message ?? error.message}`);
    }
    await setTimeout(500);
  }
}

await OpenFeature.setProviderAndWait(
  new OFREPProvider({ baseUrl: "http://localhost", fetchImplementation: overSocket }),
);
for await (const why of changes()) await show(why, question);

// Flags of a sidecar by flagd's provider for Node, which takes the definitions from the sidecar and evaluates by itself:
// no evaluation leaves the process, none is in the audit log, and rules find no $peer.
//
// npm install @openfeature/server-sdk @openfeature/flagd-provider @grpc/grpc-js
// node flagd_in_process.mjs SOCKET CONTEXT KEY=DEFAULT...

import { FlagdProvider } from "@openfeature/flagd-provider";
import { asked, follow } from "./show.mjs";

const question = asked();
follow(new FlagdProvider({ resolverType: "in-process", socketPath: question.socket }), question);

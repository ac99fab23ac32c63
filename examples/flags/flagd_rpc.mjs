// Flags of a sidecar by flagd's provider for Node, which asks the sidecar for each evaluation.
//
// npm install @openfeature/server-sdk @openfeature/flagd-provider @grpc/grpc-js
// node flagd_rpc.mjs SOCKET CONTEXT KEY=DEFAULT...
// node flagd_rpc.mjs /run/strongroom/web/sidecar.sock '{"targetingKey":"ada"}' new-checkout=false 'theme="plain"'

import { FlagdProvider } from "@openfeature/flagd-provider";
import { asked, follow } from "./show.mjs";

const question = asked();
follow(new FlagdProvider({ resolverType: "rpc", socketPath: question.socket }), question);

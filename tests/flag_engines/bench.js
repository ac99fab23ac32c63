// The time that npm's @openfeature/flagd-core takes for each flag of a file: nanoseconds, as JSON on stdout.
// usage: node bench.js CONFIG CONTEXT, both JSON
const { FlagdCore } = require('@openfeature/flagd-core');

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const core = new FlagdCore(undefined, quiet);
core.setConfigurations(process.argv[2]);
const context = JSON.parse(process.argv[3]);
const ask = {
  static: () => core.resolveBooleanEvaluation('static', false, context),
  if: () => core.resolveBooleanEvaluation('if', false, context),
  fractional: () => core.resolveStringEvaluation('fractional', '', context),
};
const out = {};
for (const [name, once] of Object.entries(ask)) {
  for (let i = 0; i < 100000; i++) once();
  const rounds = [];
  for (let round = 0; round < 9; round++) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < 100000; i++) once();
    rounds.push(Number(process.hrtime.bigint() - start) / 100000);
  }
  rounds.sort((a, b) => a - b);
  out[name] = rounds[4];
}
console.log(JSON.stringify(out));

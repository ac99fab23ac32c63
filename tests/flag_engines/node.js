// npm's @openfeature/flagd-core as a process: a question in JSON on each line of stdin, an answer on stdout.
const readline = require('readline');
const { FlagdCore } = require('@openfeature/flagd-core');

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { config, context } = JSON.parse(line);
  let answer;
  try {
    const core = new FlagdCore(undefined, quiet);
    core.setConfigurations(JSON.stringify(config));
    const found = core.resolveStringEvaluation('flag', 'fallback', context);
    answer = { variant: found.variant ?? null, reason: found.reason, code: found.errorCode ?? null };
  } catch (error) {
    answer = { variant: null, reason: 'ERROR', code: 'THROWN' };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
});

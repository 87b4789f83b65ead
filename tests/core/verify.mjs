// Verifies one webhook with the reference library for JavaScript: {"secret", "headers", "body"} on standard input.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Webhook } = createRequire(process.argv[2] + "/")("standardwebhooks");
const given = JSON.parse(readFileSync(0, "utf8"));
try {
  new Webhook(given.secret).verify(given.body, given.headers);
  console.log("verified");
} catch (error) {
  console.log(`refused: ${error.message}`);
}

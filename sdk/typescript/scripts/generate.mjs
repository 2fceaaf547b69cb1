// Writes src/generated/openapi.ts from the API's document. With --check it writes nothing, and fails where the file is not what it would be.
//
// The events of later releases are not a member of the union: src/types.ts adds one that can be told apart.
import { readFile, mkdir, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";
import { format, resolveConfig } from "prettier";

const source = new URL("../../../docs/openapi.json", import.meta.url);
const target = new URL("../src/generated/openapi.ts", import.meta.url);

const document = JSON.parse(await readFile(source, "utf8"));
const schemas = document.components.schemas;
schemas.EventBody.oneOf = schemas.EventBody.oneOf.filter(
  (event) => !event.properties.type.enum.includes("Unknown"),
);
// Protocols of other people are for other people's clients.
const foreign = JSON.parse(await readFile(new URL("foreign.json", import.meta.url), "utf8"));
const used = new Set();
const use = (value) => {
  for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
    if (used.has(name)) continue;
    used.add(name);
    use(schemas[name]);
    // A list repeats its objects instead of naming them.
    if (name.startsWith("List_")) use({ $ref: `#/components/schemas/${name.slice("List_".length)}` });
  }
};
for (const [path, operations] of Object.entries(document.paths)) {
  if (!foreign.some((prefix) => path.startsWith(prefix))) use(operations);
}
for (const name of Object.keys(schemas)) {
  // The SDK has one generic list.
  if (!used.has(name) || name.startsWith("List_")) delete schemas[name];
}
const text = astToString(
  await openapiTS(
    { openapi: document.openapi, info: document.info, paths: {}, components: { schemas } },
    // What has a default may be left out of a request.
    { defaultNonNullable: false },
  ),
);
const head = "// Written by `npm run generate` from docs/openapi.json. Not to be edited.\n\n";
const options = { ...(await resolveConfig(target)), parser: "typescript" };
const wanted = await format(head + text, options);

if (process.argv.includes("--check")) {
  const found = await readFile(target, "utf8").catch(() => "");
  if (found !== wanted) {
    console.error("src/generated/openapi.ts is not what docs/openapi.json says: run `npm run generate`");
    process.exit(1);
  }
} else {
  await mkdir(new URL(".", target), { recursive: true });
  await writeFile(target, wanted);
}

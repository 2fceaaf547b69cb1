/** What is built: small, nothing inline, nobody else's address. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const FILES = readdirSync(DIST, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => ({ name: entry.name, bytes: readFileSync(`${entry.parentPath}/${entry.name}`) }));

test("what is served is small", () => {
  const sum = FILES.reduce((total, file) => total + gzipSync(file.bytes).length, 0);
  expect(sum).toBeLessThan(120 * 1024);
});

test("nothing is inline, and no source map is there", () => {
  expect(FILES.filter((file) => file.name.endsWith(".map"))).toEqual([]);
  const page = FILES.find((file) => file.name === "index.html")?.bytes.toString() ?? "";
  expect(page).toContain('<script type="module" crossorigin src="/console/assets/');
  expect(page).not.toMatch(/<style|<script>|<script(?![^>]* src=)|style=|\son\w+=/);
});

test("no address of anybody else is in it", () => {
  const found = FILES.filter((file) => /\.(js|css|html)$/.test(file.name)).flatMap((file) =>
    [...file.bytes.toString().matchAll(/https?:\/\/[\w.-]+/g)].map((match) => match[0]),
  );
  // Names of XML, and what the console shows as an example.
  const known = ["http://www.w3.org", "https://shop.example", "http://www.w3.org/"];
  expect(found.filter((address) => !known.includes(address))).toEqual([]);
});

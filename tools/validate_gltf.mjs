// Khronos' glTF validator over files: node tools/validate_gltf.mjs FILE.glb ...
//
// Wants the npm package `gltf-validator`, installed anywhere: NODE_PATH names the node_modules folder it is in.
//
//     npm install --prefix /tmp/gltf gltf-validator
//     NODE_PATH=/tmp/gltf/node_modules node tools/validate_gltf.mjs out/chair/mesh/mesh.glb
//
// A line for each file and each message; exit code 1 where there are errors or warnings.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const { validateBytes, version } = createRequire(import.meta.url)("gltf-validator");
const LEVELS = ["error", "warning", "information", "hint"];

const files = process.argv.slice(2);
if (!files.length) {
  console.error("give one or more .glb files");
  process.exit(2);
}

let bad = 0;
for (const file of files) {
  const { issues, info } = await validateBytes(new Uint8Array(await readFile(file)), { maxIssues: 100 });
  bad += issues.numErrors + issues.numWarnings;
  console.log(
    `${file}: ${issues.numErrors} errors, ${issues.numWarnings} warnings, ${issues.numInfos} infos, ` +
      `${issues.numHints} hints; ${info.totalTriangleCount} triangles (glTF validator ${version()})`,
  );
  for (const { severity, code, message, pointer } of issues.messages) {
    console.log(`  ${LEVELS[severity]} ${code} at ${pointer}: ${message}`);
  }
}
process.exit(bad ? 1 : 0);

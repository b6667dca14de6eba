/** Writes `schema.graphql` anew from the code: `node apps/api/dist/printSchema.js apps/api/schema.graphql`. */
import { writeFileSync } from "node:fs"
import { schemaText } from "./buildApiSchema.ts"

const [, , path] = process.argv
if (path === undefined) process.stdout.write(schemaText())
else writeFileSync(path, schemaText())

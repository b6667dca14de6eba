import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"

export default defineConfig({
  plugins: [react()],
  build: { outDir: "dist", emptyOutDir: true, target: "es2023", assetsInlineLimit: 0, manifest: "manifest.json", modulePreload: { polyfill: false } }
})

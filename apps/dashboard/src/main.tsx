import { QueryClient, QueryClientProvider } from "@tanstack/react-query"
import { createRoot } from "react-dom/client"
import { RequestError } from "./data/graphql.ts"
import { App } from "./view/App.tsx"
import { restoreTheme } from "./view/theme.ts"
import "./styles.css"

const RETRIES_MAX = 3

restoreTheme()
const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Infinity,
      refetchOnWindowFocus: false,
      retry: (count, error) => count < RETRIES_MAX && !(error instanceof RequestError && error.code === "UNAUTHENTICATED")
    }
  }
})
const root = document.getElementById("root")
if (root === null) throw new Error("index.html has no #root")
createRoot(root).render(<QueryClientProvider client={queryClient}><App /></QueryClientProvider>)

import { windowIndexContract } from "@tidemark/domain/ports/WindowIndex.contract"
import { windowIndexElasticsearch } from "./WindowIndexElasticsearch.ts"
import { dropNamespace, elasticsearchUrl, freshNamespace } from "./specNamespace.ts"

windowIndexContract("Elasticsearch", () => {
  const namespace = freshNamespace()
  return { open: () => windowIndexElasticsearch({ url: elasticsearchUrl(), namespace }), dispose: () => dropNamespace(namespace) }
})

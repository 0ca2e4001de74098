// The link to a version, whatever its share.

import type { ServiceDescription } from "../../api/config";
import type { ServiceDocument } from "../../api/documents";

/** `VERSION--` in front of the domain, where the service allows preview domains; otherwise there is no such link. */
export function previewOf(service: ServiceDocument, described: ServiceDescription | undefined, version: string): string | undefined {
  if (described?.policy?.["override.preview-domains"]?.text !== "true") return undefined;
  try {
    const url = new URL(service.url);
    url.hostname = `${version}--${url.hostname}`;
    return url.href;
  } catch {
    return undefined;
  }
}

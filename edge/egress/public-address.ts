/**
 * Which addresses a request on a customer's behalf may go to. Everything that is not plainly public is refused: private,
 * loopback, link-local (with the clouds' metadata services), shared, reserved, multicast, and the IPv6 forms that carry
 * an IPv4 address inside. Runs in the worker and under Node (infra/egress-proxy).
 */
import ipaddr from "ipaddr.js";

/** Services of a cloud's own network behind addresses that look public: Azure's wire server. */
const cloudServices: ReadonlySet<string> = new Set(["168.63.129.16"]);
/** All that IANA has given out for global unicast so far. */
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");
/**
 * Names that never lead to a public host: RFC 6761, 6762, 8375, ICANN's reservation of `.internal`, and top levels that
 * nobody is given because networks use them inside.
 */
const privateNames = /(^|\.)(localhost|localdomain|local|internal|intranet|home\.arpa|home|lan|corp)$/;

/** Whether `address`, an IPv4 or IPv6 literal, is public. `allowLoopback` lets this machine pass, too: for development. */
export function isPublicAddress(address: string, allowLoopback = false): boolean {
  if (!ipaddr.isValid(address)) return false;
  // An IPv4 address that is written as an IPv6 one is judged as what it is.
  const parsed = ipaddr.process(address);
  const range = parsed.range();
  if (range === "loopback") return allowLoopback;
  if (range !== "unicast" || cloudServices.has(parsed.toString())) return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
}

/** The literal in a URL's `hostname` without IPv6's brackets, or `null` where it is a name. */
export function literalAddress(hostname: string): string | null {
  const bare = hostname.replace(/^\[(.*)\]$/, "$1");
  return ipaddr.isValid(bare) ? bare : null;
}

/** Whether a name can lead anywhere public at all; where it really leads, only its resolution tells. */
export function isPublicName(hostname: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, "");
  // With an empty label ("localhost..", "10.0.0.1..") it is no name, and what a resolver makes of it is anybody's guess.
  return name.split(".").length > 1 && !name.split(".").includes("") && !privateNames.test(name);
}

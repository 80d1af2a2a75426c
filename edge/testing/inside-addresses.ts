/**
 * Hosts that no request on a customer's behalf may reach, in every way that a URL can name them: what the suites about
 * server-side request forgery go through (edge/egress, edge/webhooks, infra/egress-proxy).
 */

/** First and last addresses of every range that IANA's special-purpose registries call not globally reachable. */
export const insideIPv4 = [
  ...["0.0.0.0", "0.255.255.255"], // this network
  ...["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"], // private
  ...["100.64.0.0", "100.127.255.255", "100.100.100.200"], // shared; Alibaba's metadata
  ...["127.0.0.0", "127.0.0.1", "127.255.255.255"], // loopback
  ...["169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255"], // link-local; clouds' metadata
  ...["192.0.0.0", "192.0.0.170", "192.0.0.192", "192.0.0.255"], // protocol assignments; NAT64's; Oracle's metadata
  ...["192.0.2.0", "192.0.2.255", "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255"], // documentation
  ...["192.88.99.0", "192.88.99.255"], // relays of 6to4
  ...["198.18.0.0", "198.19.255.255"], // benchmarking
  ...["224.0.0.0", "239.255.255.255"], // multicast
  ...["240.0.0.0", "255.255.255.254", "255.255.255.255"], // reserved, broadcast
  "168.63.129.16", // Azure's wire server, though its range is public
] as const;

export const insideIPv6 = [
  ...["::", "::1"], // unspecified, loopback
  ...["::7f00:1", "::a00:1", "::127.0.0.1", "::169.254.169.254"], // IPv4-compatible, deprecated
  ...["::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:0:10.0.0.1"], // IPv4-mapped, IPv4-translated
  ...["64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::a00:1"], // NAT64, well-known and local
  ...["100::1", "100::ffff:ffff:ffff:ffff", "100:0:0:1::1"], // discard-only, dummy
  ...["2001::1", "2001:0:a9fe:a9fe::1", "2001:1ff:ffff::1"], // Teredo; the last of the protocol assignments
  ...["2001:2::1", "2001:10::1", "2001:1f::1", "2001:20::1", "2001:2f::1"], // benchmarking, ORCHID
  ...["2001:db8::1", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1"], // documentation
  ...["2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:1::"], // 6to4
  "5f00::1", // segment routing
  ...["fc00::1", "fd00:ec2::254", "fdff:ffff::1"], // unique local; AWS's metadata
  ...["fe80::1", "febf::1", "fec0::1", "feff::1"], // link-local, site-local
  ...["4000::1", "e000::1", "fbff::1"], // given out to nobody
  ...["ff02::1", "ff0e::1"], // multicast
] as const;

/** Other spellings of 127.0.0.1, 10.0.0.1 and 169.254.169.254 in a URL's host. */
export const disguises = [
  ...["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "127.0.0.1."],
  ...[
    "0",
    "0x0",
    "00.00.00.00",
    "167772161",
    "0xa.0.0.1",
    "012.0.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
  ],
  ...["１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1", "0x7F.0.0.1"],
  ...["[0:0:0:0:0:0:0:1]", "[::FFFF:127.0.0.1]", "[0000::0001]", "[::ffff:7f00:0001]"],
] as const;

/** The addresses right beside those ranges, which belong to whoever they were given to. */
export const outsideAddresses = [
  ...["1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0"],
  ...["169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255"],
  ...["192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255"],
  ...["198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "168.63.129.15"],
  ...["2001:200::1", "2001:db7:ffff::1", "2001:db9::1", "2003::1", "2600::1", "2a00::1", "3ffe::1"],
] as const;

/** Names that never lead anywhere public. */
export const insideNames = [
  ...["localhost", "LOCALHOST", "localhost.", "a.localhost", "printer", "db.internal", "printer.local", "router.lan"],
  ...["metadata.google.internal", "host.docker.internal", "nas.home.arpa", "wiki.intranet", "localhost.localdomain"],
  ...["db.default.svc.cluster.local", "mail.corp", "nas.home", "lo\u00adcalhost", "ⓛocalhost", "localhost%2e"],
  ...["localhost..", "db.internal..", "10.0.0.1..", "db..internal", "169.254.169.254.."],
] as const;

/** Addresses whose host is not what it looks like. */
export const userinfoTricks = [
  "http://example.com@127.0.0.1/",
  "http://example.com:80@10.0.0.1/",
  "http://127.0.0.1\\@example.com/",
  "http://127.0.0.1#@example.com/",
  "http://127.0.0.1?@example.com/",
  "http:\\\\127.0.0.1/",
  "http:/127.0.0.1/",
  "http:169.254.169.254",
  "http://exa\tmple@127.0.0.1/",
  "\nhttp://127.0.0.1/",
] as const;

/** Every address above as a URL. */
export const insideUrls = [
  ...[...insideIPv4, ...disguises, ...insideNames].map((host) => `http://${host}/`),
  ...insideIPv6.map((address) => `http://[${address}]/`),
  ...userinfoTricks,
];

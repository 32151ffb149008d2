// A private Helia: libp2p over TCP, Noise and Yamux on loopback, Bitswap, blocks in memory, nobody known but who is
// dialled. It takes a command a line as JSON, and answers each with a line. Who drives it is tests/kit/helia.py.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { noise } from "@chainsafe/libp2p-noise";
import { yamux } from "@chainsafe/libp2p-yamux";
import { withBitswap } from "@helia/bitswap";
import { withLibp2pLight } from "@helia/libp2p";
import { unixfs } from "@helia/unixfs";
import { identify } from "@libp2p/identify";
import { ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { multiaddr } from "@multiformats/multiaddr";
import { createHeliaLight } from "helia";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
import { CID } from "multiformats/cid";

const helia = withBitswap(withLibp2pLight(createHeliaLight(), {
  addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  peerDiscovery: [],
  services: { identify: identify(), ping: ping() },
}));
await helia.start();
const fs = unixfs(helia);

// Kubo's `ipfs add --cid-version=1 --raw-leaves`; Helia's own default has leaves of 1 MiB.
const AS_KUBO = {
  cidVersion: 1,
  rawLeaves: true,
  leafType: "raw",
  reduceSingleLeafToSelf: true,
  chunker: fixedSize({ chunkSize: 262144 }),
  layout: balanced({ maxChildrenPerNode: 174 }),
};

const COMMANDS = {
  // The CID of a file, whose blocks are served from now on.
  async add({ path }) {
    return { cid: (await fs.addByteStream(createReadStream(path), AS_KUBO)).toString() };
  },
  async dial({ addr }) {
    await helia.libp2p.dial(multiaddr(addr));
    return {};
  },
  // A file from whoever has it, written to `path` where there is one, else only hashed.
  async cat({ cid, path }) {
    const hash = createHash("sha256"), begun = performance.now();
    const file = path ? createWriteStream(path) : null;
    let bytes = 0;
    for await (const piece of fs.cat(CID.parse(cid))) {
      bytes += piece.length;
      hash.update(piece);
      if (file && !file.write(piece)) await once(file, "drain");
    }
    if (file) { file.end(); await once(file, "finish"); }
    return { bytes, sha256: hash.digest("hex"), seconds: (performance.now() - begun) / 1000 };
  },
  // Bytes on a Bitswap stream of their own, whatever they are.
  async push({ addr, hex }) {
    const stream = await helia.libp2p.dialProtocol(multiaddr(addr), "/ipfs/bitswap/1.2.0");
    stream.send(Buffer.from(hex, "hex"));
    await stream.close();
    return {};
  },
};

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
say({ addr: helia.libp2p.getMultiaddrs()[0].toString() });
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    say(await COMMANDS[asked.do](asked));
  } catch (fault) {
    say({ error: String(fault) });
  }
}
process.exit(0);

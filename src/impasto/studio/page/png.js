const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1
  return n
})

function chunk(name, data) {
  const bytes = new Uint8Array(12 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  bytes.set([...name].map(letter => letter.charCodeAt(0)), 4)
  bytes.set(data, 8)
  let crc = -1
  for (const byte of bytes.subarray(4, -4)) crc = CRC[(crc ^ byte) & 255] ^ crc >>> 8
  view.setUint32(8 + data.length, ~crc)
  return bytes
}

/**
 * A gray PNG of 8 bits.
 * A canvas makes none: its PNGs have colors, and browsers that hide who reads alter their pixels.
 */
export async function grayPng(width, height, values) {
  const rows = new Uint8Array(height * (1 + width))  // each row begins with 0, no filter
  for (let y = 0; y < height; y++) {
    rows.set(values.subarray(y * width, (y + 1) * width), y * (1 + width) + 1)
  }
  const stream = new Blob([rows]).stream().pipeThrough(new CompressionStream("deflate"))
  const data = new Uint8Array(await new Response(stream).arrayBuffer())
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header[8] = 8  // bits; all zeros after it: gray, deflate, no interlacing
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10)
  const parts = [signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", [])]
  return new Blob(parts, { type: "image/png" })
}

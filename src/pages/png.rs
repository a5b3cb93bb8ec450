//! A QR code as a picture, for contracts and PSPs that answer with one: PNG, one bit a pixel, not compressed. Pure.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fast_qr::{ECL, QRBuilder};

/// Pixels of a module's side: sharp on a telephone's screen.
const SCALE: usize = 4;
/// Modules of white around a code.
const QUIET: usize = 4;
/// Bytes of a block that is not compressed.
const STORED_MAX: usize = 65_535;

/// The QR code of a text as `data:image/png;base64,…`; empty where the text is longer than a code can hold.
pub fn qr_data_uri(text: &str) -> String {
    match qr_png(text) {
        Some(png) => format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png)),
        None => String::new(),
    }
}

/// The QR code of a text; `None` where that is longer than a code can hold.
pub fn qr_png(text: &str) -> Option<Vec<u8>> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let side = (code.size + 2 * QUIET) * SCALE;
    let dark = |pixel: usize, line: usize| {
        let inside = |at: usize| (at / SCALE).checked_sub(QUIET).filter(|at| *at < code.size);
        inside(pixel).zip(inside(line)).is_some_and(|(x, y)| code[y][x].value())
    };
    let mut rows = Vec::with_capacity(side * (side / 8 + 2));
    for line in 0..side {
        // No filter; then eight pixels a byte, white is 1.
        rows.push(0);
        for byte in 0..side.div_ceil(8) {
            let bit = |n: usize| u8::from(!dark(byte * 8 + n, line)) << (7 - n);
            rows.push((0..8).map(bit).sum());
        }
    }
    let length = u32::try_from(side).ok()?.to_be_bytes();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    // One bit a pixel, greyscale, the only methods there are, not interlaced.
    chunk(&mut png, *b"IHDR", &[&length[..], &length, &[1, 0, 0, 0, 0]].concat());
    chunk(&mut png, *b"IDAT", &zlib(&rows));
    chunk(&mut png, *b"IEND", &[]);
    Some(png)
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    // A code's picture is a few kilobytes.
    png.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let crc = crc32(&png[start..]);
    png.extend(crc.to_be_bytes());
}

/// A zlib stream of blocks that are not compressed.
fn zlib(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(STORED_MAX).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    // Adler-32.
    let (a, b) = data.iter().fold((1u32, 0u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    stream.extend(((b << 16) | a).to_be_bytes());
    stream
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            0 => crc >> 1,
            _ => (crc >> 1) ^ 0xEDB8_8320,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_the_standards() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
        assert_eq!(zlib(b"Wikipedia")[2 + 5 + 9..], 0x11E6_0398u32.to_be_bytes());
    }

    #[test]
    fn a_picture_has_its_frame_and_its_modules() {
        let png = qr_png("00020101021226700014br.gov.bcb.pix").expect("a short text");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"));
        assert!(png.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
        let side = u32::from_be_bytes(png[16..20].try_into().expect("four bytes")) as usize;
        assert_eq!(side % SCALE, 0);
        // Signature, IHDR, length and name of IDAT, zlib's head and the block's.
        let rows = &png[8 + 25 + 8 + 2 + 5..];
        let row = |line: usize| &rows[line * (side.div_ceil(8) + 1)..][..side.div_ceil(8) + 1];
        assert!(row(0)[1..side / 8].iter().all(|byte| *byte == 0xFF), "the quiet zone is white");
        // The finder pattern in the corner: seven dark modules.
        let corner = row(QUIET * SCALE);
        assert_eq!(corner[0], 0);
        assert_eq!(corner[1..8], [0xFF, 0xFF, 0, 0, 0, 0x0F, corner[7]][..], "{corner:x?}");
        assert!(qr_data_uri("a").starts_with("data:image/png;base64,iVBORw0KGgo"));
        assert_eq!(qr_data_uri(&"a".repeat(8000)), "");
    }
}

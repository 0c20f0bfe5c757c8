//! SHA-256 of many messages at once: each lane of a vector works on a message of its own.
//!
//! A processor's own instructions for SHA-256 work on one message, as fast as one can be hashed. Sixteen lanes of
//! AVX-512 are faster still, and eight of AVX2 where there are no such instructions. Written after [FIPS 180-4];
//! `fearless_simd` compiles it for each kind of vector, and chooses by what the processor says that it can do.
//!
//! [FIPS 180-4]: https://nvlpubs.nist.gov/nistpubs/FIPS/NIST.FIPS.180-4.pdf

use std::sync::LazyLock;

use fearless_simd::{Level, Simd, dispatch, prelude::*};

use super::Hash;

/// The most lanes of any vector.
const MOST_LANES: usize = 16;

const BLOCK: usize = 64;

/// What ends a message: a bit, and the length in 8 bytes.
const PADDING: usize = 1 + 8;

/// A message of a Merkle tree, as [RFC 6962, section 2.1] builds it.
///
/// [RFC 6962, section 2.1]: https://www.rfc-editor.org/rfc/rfc6962.html#section-2.1
#[derive(Clone, Copy)]
pub(super) enum Message<'a> {
    Leaf(&'a [u8]),
    Node(&'a Hash, &'a Hash),
}

impl Message<'_> {
    /// In bytes, with the one that tells leaves from nodes.
    const fn length(self) -> usize {
        match self {
            Self::Leaf(entry) => 1 + entry.len(),
            Self::Node(..) => 1 + 2 * Hash::SIZE,
        }
    }

    const fn blocks(self) -> usize {
        (self.length() + PADDING).div_ceil(BLOCK)
    }

    /// Writes a block of the padded message where zeros are.
    #[inline(always)]
    fn write_block(self, number: usize, block: &mut [u8; BLOCK]) {
        match self {
            Self::Leaf(entry) => {
                // One byte is before the entry's. Blocks without padding, most of them, are copied in one move.
                let (start, into) = if number == 0 { (0, 1) } else { (number * BLOCK - 1, 0) };
                let rest = entry.get(start..).unwrap_or_default();
                if let (0, Some(first)) = (number, rest.first_chunk::<{ BLOCK - 1 }>()) {
                    block[1..].copy_from_slice(first);
                    return;
                }
                if let (1.., Some(whole)) = (number, rest.first_chunk()) {
                    *block = *whole;
                    return;
                }
                let length = rest.len().min(BLOCK - into);
                block[into..into + length].copy_from_slice(&rest[..length]);
            }
            Self::Node(left, right) if number == 0 => {
                block[0] = 0x01;
                block[1..=Hash::SIZE].copy_from_slice(&left.0);
                block[1 + Hash::SIZE..].copy_from_slice(&right.0[..Hash::SIZE - 1]);
            }
            Self::Node(_, right) => block[0] = right.0[Hash::SIZE - 1],
        }
        if number == self.length() / BLOCK {
            block[self.length() % BLOCK] = 0x80;
        }
        if number + 1 == self.blocks() {
            block[BLOCK - 8..].copy_from_slice(&(self.length() as u64 * 8).to_be_bytes());
        }
    }

    fn hash_alone(self) -> Hash {
        match self {
            Self::Leaf(entry) => Hash::leaf(entry),
            Self::Node(left, right) => Hash::node(*left, *right),
        }
    }
}

/// The vectors to hash with; `None` where one message after another is as fast.
static VECTORS: LazyLock<Option<Level>> = LazyLock::new(|| {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    let is_faster = level.as_avx512().is_some()
        || (level.as_avx2().is_some() && !std::arch::is_x86_feature_detected!("sha"));
    #[cfg(not(target_arch = "x86_64"))]
    let is_faster = false;
    is_faster.then_some(level)
});

/// The hash of each message.
pub(super) fn hash_all(messages: &[Message<'_>]) -> Vec<Hash> {
    hash_all_by(*VECTORS, messages)
}

fn hash_all_by(vectors: Option<Level>, messages: &[Message<'_>]) -> Vec<Hash> {
    match vectors {
        Some(level) => dispatch!(level, simd => hash_in_lanes(simd, messages)),
        None => messages.iter().map(|message| message.hash_alone()).collect(),
    }
}

#[inline(always)]
fn hash_in_lanes<S: Simd>(simd: S, messages: &[Message<'_>]) -> Vec<Hash> {
    // Lanes work as long as the longest of their messages: side by side stand those of one length.
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by_key(|&at| messages[at].blocks());
    let mut hashes = vec![Hash([0; Hash::SIZE]); messages.len()];
    for group in order.chunks(S::u32s::LEN) {
        // With half of the lanes empty, one after another is as fast.
        if group.len() <= S::u32s::LEN / 2 {
            group.iter().for_each(|&at| hashes[at] = messages[at].hash_alone());
        } else {
            hash_group(simd, messages, group, &mut hashes);
        }
    }
    hashes
}

/// Hashes one message a lane, shortest first.
#[inline(always)]
fn hash_group<S: Simd>(simd: S, messages: &[Message<'_>], group: &[usize], hashes: &mut [Hash]) {
    let mut state = INITIAL.map(|word| S::u32s::splat(simd, word));
    let most = group.last().map_or(0, |&at| messages[at].blocks());
    for number in 0..most {
        let mut blocks = [[0; BLOCK]; MOST_LANES];
        for (block, &at) in blocks.iter_mut().zip(group) {
            messages[at].write_block(number, block);
        }
        compress::<S>(&mut state, load(simd, &blocks));
        if group.iter().any(|&at| messages[at].blocks() == number + 1) {
            let words = store::<S>(&state);
            for (lane, &at) in
                group.iter().enumerate().filter(|(_, at)| messages[**at].blocks() == number + 1)
            {
                for (bytes, word) in hashes[at].0.chunks_exact_mut(4).zip(&words) {
                    bytes.copy_from_slice(&word[lane].to_be_bytes());
                }
            }
        }
    }
}

/// Turns a block a lane into sixteen vectors, of which each has one word of every lane.
#[inline(always)]
fn load<S: Simd>(simd: S, blocks: &[[u8; BLOCK]; MOST_LANES]) -> [S::u32s; 16] {
    let lanes = S::u32s::LEN;
    let mut words = [S::u32s::splat(simd, 0); 16];
    for (part, square) in words.chunks_exact_mut(lanes).enumerate() {
        for (row, block) in square.iter_mut().zip(blocks) {
            let (bytes, _) = block.as_chunks();
            let read: [u32; 16] = core::array::from_fn(|at| u32::from_le_bytes(bytes[at]));
            *row = S::u32s::from_slice(simd, &read[part * lanes..][..lanes]);
        }
        transpose::<S>(square);
    }
    // Words of messages have their first byte at the high end. Turned here, the reads above stay plain loads.
    words.map(|word| (rotate::<S>(word, 8) & 0xff00_ff00) | (rotate::<S>(word, 24) & 0x00ff_00ff))
}

/// Turns rows into columns: each pass brings the two halves of the rows one step further into one another.
#[inline(always)]
fn transpose<S: Simd>(rows: &mut [S::u32s]) {
    let half = rows.len() / 2;
    for _ in 0..rows.len().ilog2() {
        let mut before = [rows[0]; MOST_LANES];
        before[..rows.len()].copy_from_slice(rows);
        for at in 0..half {
            rows[2 * at] = before[at].zip_low(before[at + half]);
            rows[2 * at + 1] = before[at].zip_high(before[at + half]);
        }
    }
}

#[inline(always)]
fn store<S: Simd>(state: &[S::u32s; 8]) -> [[u32; MOST_LANES]; 8] {
    let mut words = [[0; MOST_LANES]; 8];
    for (words, vector) in words.iter_mut().zip(state) {
        vector.store_slice(&mut words[..S::u32s::LEN]);
    }
    words
}

#[inline(always)]
fn rotate<S: Simd>(word: S::u32s, right: u32) -> S::u32s {
    (word >> right) | (word << (32 - right))
}

/// The compression function, FIPS 180-4, 6.2.2.
#[inline(always)]
fn compress<S: Simd>(state: &mut [S::u32s; 8], mut w: [S::u32s; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    // The letters change places from round to round, so that no word has to.
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $k:expr, $t:expr) => {
            let sum1 = rotate::<S>($e, 6) ^ rotate::<S>($e, 11) ^ rotate::<S>($e, 25);
            let choice = ($e & $f) ^ (!$e & $g);
            let first = $h + sum1 + choice + (w[$t] + $k[$t]);
            let sum0 = rotate::<S>($a, 2) ^ rotate::<S>($a, 13) ^ rotate::<S>($a, 22);
            let majority = ($a & $b) ^ ($a & $c) ^ ($b & $c);
            $d += first;
            $h = first + sum0 + majority;
        };
    }
    macro_rules! eight_rounds {
        ($k:expr, $t:literal) => {
            round!(a b c d e f g h, $k, $t);
            round!(h a b c d e f g, $k, $t + 1);
            round!(g h a b c d e f, $k, $t + 2);
            round!(f g h a b c d e, $k, $t + 3);
            round!(e f g h a b c d, $k, $t + 4);
            round!(d e f g h a b c, $k, $t + 5);
            round!(c d e f g h a b, $k, $t + 6);
            round!(b c d e f g h a, $k, $t + 7);
        };
    }
    for (sixteenth, k) in ROUND_CONSTANTS.iter().enumerate() {
        if sixteenth > 0 {
            schedule::<S>(&mut w);
        }
        eight_rounds!(k, 0);
        eight_rounds!(k, 8);
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word += new;
    }
}

/// The next sixteen words of the message schedule, in place of the last.
#[inline(always)]
fn schedule<S: Simd>(w: &mut [S::u32s; 16]) {
    macro_rules! words {
        ($($t:literal)*) => { $(
            let (near, far) = (w[($t + 1) % 16], w[($t + 14) % 16]);
            let sigma0 = rotate::<S>(near, 7) ^ rotate::<S>(near, 18) ^ (near >> 3);
            let sigma1 = rotate::<S>(far, 17) ^ rotate::<S>(far, 19) ^ (far >> 10);
            w[$t] = w[$t] + sigma0 + w[($t + 9) % 16] + sigma1;
        )* };
    }
    words!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
}

/// FIPS 180-4, 5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// FIPS 180-4, 4.2.2.
#[rustfmt::skip]
const ROUND_CONSTANTS: [[u32; 16]; 4] = [
    [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    ],
    [
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    ],
    [
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    ],
    [
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of vector that this processor has, also those that it is not faster with.
    fn kinds() -> Vec<Level> {
        let level = Level::new();
        #[allow(unused_mut, reason = "other processors have one kind")]
        let mut kinds = vec![level, Level::baseline()];
        #[cfg(target_arch = "x86_64")]
        {
            kinds.extend(level.as_avx2().map(Level::Avx2));
            kinds.extend(level.as_sse4_2().map(Level::Sse4_2));
        }
        kinds
    }

    #[test]
    fn lanes_hash_as_one_after_another() {
        let bytes: Vec<u8> = (0..700_u32).map(|i| (i * 7 % 251) as u8).collect();
        for count in [0, 1, 8, 9, 16, 17, 40, 300] {
            // Every length around the ends of blocks, in no order.
            let entries: Vec<&[u8]> = (0..count).map(|i| &bytes[i % 5..][..(i * 37) % 400]).collect();
            let leaves: Vec<Message<'_>> = entries.iter().map(|entry| Message::Leaf(entry)).collect();
            let expected: Vec<Hash> = entries.iter().map(|entry| Hash::leaf(entry)).collect();
            let nodes: Vec<Message<'_>> =
                expected.windows(2).map(|pair| Message::Node(&pair[0], &pair[1])).collect();
            let parents: Vec<Hash> = expected.windows(2).map(|pair| Hash::node(pair[0], pair[1])).collect();
            for vectors in kinds().into_iter().map(Some).chain([None]) {
                assert_eq!(hash_all_by(vectors, &leaves), expected, "{count} leaves by {vectors:?}");
                assert_eq!(hash_all_by(vectors, &nodes), parents, "nodes of {count} by {vectors:?}");
            }
        }
    }

    #[test]
    fn every_length_up_to_three_blocks() {
        let bytes = [0xa5; 200];
        let entries: Vec<Message<'_>> = (0..200).map(|length| Message::Leaf(&bytes[..length])).collect();
        let expected: Vec<Hash> = (0..200).map(|length| Hash::leaf(&bytes[..length])).collect();
        for level in kinds() {
            assert_eq!(hash_all_by(Some(level), &entries), expected, "{level:?}");
        }
    }
}

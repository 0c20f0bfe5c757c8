//! Request heads whose lines end in CRLF.

/// Looks for a bare LF in the bytes of a request head.
///
/// httparse takes a lone LF for the end of a line, as [RFC 9112, 2.2] lets it. A proxy that passes one on
/// inside a field has seen another request than we would: request smuggling. hyper has no switch for
/// it, so the socket looks at the bytes as they come.
///
/// Of one read it looks at the first head only, since what comes behind may be a body. That is enough: a proxy
/// that shares a connection among its users sends a head when the last answer is in, thus in a
/// read of its own, and a client that smuggles past itself gains nothing.
///
/// [RFC 9112, 2.2]: https://www.rfc-editor.org/rfc/rfc9112#section-2.2
#[derive(Default)]
pub(crate) struct HeadLines {
    /// The last byte that came: a CR and its LF may be in two reads.
    last: u8,
    /// Bytes since the last LF.
    column: usize,
    ended: bool,
}

/// A line of a request head ends in LF alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a line of the request ends in LF without CR")]
pub(crate) struct BareLf;

impl HeadLines {
    /// Looks at bytes that begin a head or go on in one.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), BareLf> {
        if self.ended {
            (self.ended, self.column) = (false, 0);
        }
        let scanned = self.scan(bytes);
        self.skip(bytes);
        scanned
    }

    /// Notes bytes of a body.
    pub(crate) fn skip(&mut self, bytes: &[u8]) {
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<(), BareLf> {
        let mut before = self.last;
        for &byte in bytes {
            if byte != b'\n' {
                self.column += 1;
            } else if before != b'\r' {
                return Err(BareLf);
            } else if self.column <= 1 {
                // Nothing but the CR on this line. No byte at all: the CR came with the end of an earlier
                // request, and whether more of the head follows is unknown. Rather miss than accuse.
                self.ended = true;
                return Ok(());
            } else {
                self.column = 0;
            }
            before = byte;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn read_in(pieces: &[&[u8]]) -> Result<(), BareLf> {
        let mut lines = HeadLines::default();
        pieces.iter().try_for_each(|piece| lines.check(piece))
    }

    #[test]
    fn a_head_may_come_in_any_pieces() {
        for cut in 0..HEAD.len() {
            let (first, second) = HEAD.split_at(cut);
            assert_eq!(read_in(&[first, second, HEAD]), Ok(()), "cut at {cut}");
        }
    }

    #[test]
    fn a_bare_lf_is_found_wherever_the_reads_are_cut() {
        let head = b"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n";
        for cut in 0..head.len() {
            let (first, second) = head.split_at(cut);
            assert_eq!(read_in(&[HEAD, first, second]), Err(BareLf), "cut at {cut}");
        }
    }

    #[test]
    fn what_follows_a_head_in_the_same_read_may_be_a_body() {
        let with_body = [HEAD, b"{\n}\n"].concat();
        assert_eq!(read_in(&[&with_body, HEAD]), Ok(()));
        assert_eq!(read_in(&[&with_body, b"GET / HTTP/1.1\n"]), Err(BareLf));
    }

    #[test]
    fn a_head_that_began_behind_another_is_not_accused() {
        let behind = [HEAD, b"GET / HTTP/1.1\r"].concat();
        assert_eq!(read_in(&[&behind, b"\nHost: a\r\n\r\n"]), Ok(()));
        let behind = [HEAD, b"PUT / HTTP/1.1\r\nContent-Length: 2\r\n\r"].concat();
        assert_eq!(read_in(&[&behind, b"\n\n\n"]), Ok(()));
    }
}

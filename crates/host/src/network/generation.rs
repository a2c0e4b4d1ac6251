//! The number by which the kernel tells that nftables were changed, by whomever.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};

/// The kernel counts one more with each transaction, in any table of this network namespace.
pub type Generation = u32;

/// `NFNL_SUBSYS_NFTABLES` in the upper byte, and `NFT_MSG_GETGEN` in the lower.
const GET_GENERATION: u16 = 10 << 8 | 16;
/// The same with `NFT_MSG_NEWGEN`: the kernel's answer.
const NEW_GENERATION: u16 = 10 << 8 | 15;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NFTA_GEN_ID`: the attribute that holds the number.
const ID: u16 = 1;
/// Bytes of a `nlmsghdr`, and of a `nfgenmsg` after it.
const HEADER_BYTES: usize = 16;
const GENMSG_BYTES: usize = 4;

/// The generation of now. It costs 4 system calls and no process: some 25 us, most of them for the
/// socket.
///
/// # Errors
/// The kernel does not tell: it has no nftables, or this is not root.
pub(super) fn generation() -> io::Result<Generation> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkNetFilter,
    )?;
    let kernel = NetlinkAddr::new(0, 0);
    sendto(socket.as_raw_fd(), &question(), &kernel, MsgFlags::empty())?;
    let mut answer = [0; 1024];
    // The kernel answers within the call above, so nothing is waited for.
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    parse(&answer[..length]).ok_or_else(|| {
        io::Error::other("the kernel does not tell the generation of nftables; run as root")
    })
}

fn question() -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + GENMSG_BYTES).unwrap_or_default();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(GET_GENERATION.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    // The sequence number, the sender, and a `nfgenmsg` of no family.
    message.extend([0; 4 + 4 + GENMSG_BYTES]);
    message
}

/// The number in the kernel's answer; `None` for another message, such as an error.
fn parse(message: &[u8]) -> Option<Generation> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    if kind != NEW_GENERATION {
        return None;
    }
    let mut attributes = message.get(HEADER_BYTES + GENMSG_BYTES..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        let value = attributes.get(4..length)?;
        if kind == ID {
            return Some(u32::from_be_bytes(*value.first_chunk()?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 answered to a program in a network namespace of its own.
    const ANSWER: [u8; 48] = [
        48, 0, 0, 0, 15, 10, 0, 0, 0, 0, 0, 0, 72, 55, 0, 0, 0, 0, 0, 1, 8, 0, 1, 0, 0, 0, 0, 1, 8,
        0, 2, 0, 0, 0, 55, 72, 12, 0, 3, 0, b'p', b'y', b't', b'h', b'o', b'n', b'3', 0,
    ];

    #[test]
    fn the_number_is_read_from_the_kernels_answer_and_from_nothing_else() {
        assert_eq!(parse(&ANSWER), Some(1));
        for length in 0..28 {
            assert_eq!(parse(&ANSWER[..length]), None, "{length}");
        }
        let mut error = ANSWER;
        error[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        assert_eq!(parse(&error), None);
        // An attribute without a length leads nowhere, and not round in a circle.
        let mut empty = ANSWER;
        empty[20..24].copy_from_slice(&[0, 0, 9, 0]);
        assert_eq!(parse(&empty), None);
    }

    #[test]
    fn this_kernel_tells_it() {
        generation().unwrap();
    }
}

//! How a detector's state becomes bytes and back: fixed-width little-endian values behind one byte of version. Reading
//! checks every length against what is left, so that a damaged file is refused and never believed.

use std::net::IpAddr;

use ingest::body::SiteId;
use ingest::frame::Seq;
use ingest::id::Ulid;
use ingest::time::Timestamp;

use super::RestoreError;

/// What can be kept.
pub trait Keep: Sized {
    fn put(&self, out: &mut Writer);
    /// # Errors
    /// Where the bytes end early or say what cannot be.
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError>;
}

/// Gathers bytes.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub fn put<T: Keep>(&mut self, value: &T) -> &mut Self {
        value.put(self);
        self
    }

    /// Bytes with their length in front.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.put(&(bytes.len() as u64));
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// What is left to read.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// # Errors
    /// Where the first byte is not the version.
    pub fn new(state: &'a [u8], version: u8) -> Result<Self, RestoreError> {
        match state.split_first() {
            Some((first, rest)) if *first == version => Ok(Self(rest)),
            Some((first, _)) => Err(RestoreError::Version(*first)),
            None => Err(RestoreError::Damaged("it is empty")),
        }
    }

    /// # Errors
    /// As the value's own.
    pub fn take<T: Keep>(&mut self) -> Result<T, RestoreError> {
        T::take(self)
    }

    /// Bytes with their length in front.
    ///
    /// # Errors
    /// Where fewer are left.
    pub fn bytes(&mut self) -> Result<&'a [u8], RestoreError> {
        let length = self.take::<u64>()?;
        self.raw(usize::try_from(length).map_err(|_| RestoreError::Damaged("a length that cannot be"))?)
    }

    /// How many items follow; each takes a byte at least, so more than there are bytes is a lie.
    ///
    /// # Errors
    /// Where it is one.
    pub fn count(&mut self) -> Result<usize, RestoreError> {
        let count = usize::try_from(self.take::<u64>()?).unwrap_or(usize::MAX);
        if count <= self.0.len() { Ok(count) } else { Err(RestoreError::Damaged("a length beyond its end")) }
    }

    /// # Errors
    /// Where something is left.
    pub fn done(self) -> Result<(), RestoreError> {
        if self.0.is_empty() { Ok(()) } else { Err(RestoreError::Damaged("it goes on behind its end")) }
    }

    fn raw(&mut self, length: usize) -> Result<&'a [u8], RestoreError> {
        let (now, rest) = self.0.split_at_checked(length).ok_or(RestoreError::Damaged("it ends early"))?;
        self.0 = rest;
        Ok(now)
    }
}

macro_rules! keep_numbers {
    ($($kind:ty),*) => {$(
        impl Keep for $kind {
            fn put(&self, out: &mut Writer) {
                out.0.extend_from_slice(&self.to_le_bytes());
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
                let bytes = from.raw(size_of::<$kind>())?;
                Ok(Self::from_le_bytes(bytes.try_into().map_err(|_| RestoreError::Damaged("it ends early"))?))
            }
        }
    )*};
}
keep_numbers!(u8, u16, u32, u64, u128, i64, f32, f64);

macro_rules! keep_wrapped {
    ($($kind:ty: $inner:ty, $make:expr, $get:expr;)*) => {$(
        impl Keep for $kind {
            fn put(&self, out: &mut Writer) {
                let get: fn(&$kind) -> $inner = $get;
                get(self).put(out);
            }
            fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
                let make: fn($inner) -> $kind = $make;
                <$inner>::take(from).map(make)
            }
        }
    )*};
}
keep_wrapped! {
    Timestamp: i64, Timestamp, |at| at.0;
    Seq: u64, Seq, |seq| seq.0;
    SiteId: u128, |id| SiteId(Ulid(id)), |site| site.0.0;
    bool: u8, |byte| byte != 0, |truth| u8::from(*truth);
    Host: (SiteId, u128), |(site, ip)| Host { site, ip }, |host| (host.site, host.ip);
}

impl<A: Keep, B: Keep> Keep for (A, B) {
    fn put(&self, out: &mut Writer) {
        self.0.put(out);
        self.1.put(out);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl<A: Keep, B: Keep, C: Keep> Keep for (A, B, C) {
    fn put(&self, out: &mut Writer) {
        self.0.put(out);
        self.1.put(out);
        self.2.put(out);
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        Ok((A::take(from)?, B::take(from)?, C::take(from)?))
    }
}

impl<T: Keep> Keep for Vec<T> {
    fn put(&self, out: &mut Writer) {
        out.put(&(self.len() as u64));
        self.iter().for_each(|item| item.put(out));
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        (0..from.count()?).map(|_| T::take(from)).collect()
    }
}

impl<T: Keep + Copy + Default, const N: usize> Keep for [T; N] {
    fn put(&self, out: &mut Writer) {
        self.iter().for_each(|item| item.put(out));
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        let mut all = [T::default(); N];
        for item in &mut all {
            *item = T::take(from)?;
        }
        Ok(all)
    }
}

impl<T: Keep> Keep for Option<T> {
    fn put(&self, out: &mut Writer) {
        out.put(&self.is_some());
        self.iter().for_each(|item| item.put(out));
    }
    fn take(from: &mut Reader<'_>) -> Result<Self, RestoreError> {
        if from.take::<bool>()? { T::take(from).map(Some) } else { Ok(None) }
    }
}

/// An address at a site: private networks are the same ones everywhere, so an address alone names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    pub site: SiteId,
    /// IPv4 as mapped into IPv6.
    ip: u128,
}

impl Host {
    pub fn new(site: SiteId, address: IpAddr) -> Self {
        let ip = match address {
            IpAddr::V4(v4) => 0xffff_0000_0000 | u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        Self { site, ip }
    }

    /// The address as a number, IPv4 as mapped into IPv6; and back.
    pub fn number(self) -> u128 {
        self.ip
    }

    pub fn of_number(site: SiteId, ip: u128) -> Self {
        Self { site, ip }
    }

    pub fn address(self) -> IpAddr {
        IpAddr::V6(self.ip.into()).to_canonical()
    }
}

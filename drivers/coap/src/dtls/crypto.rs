//! The one cipher suite that constrained devices share, TLS_PSK_WITH_AES_128_CCM_8 (RFC 7252 section
//! 9.1.3.1, RFC 6655), from crates that are here already: hash and HMAC of `ring`, AES and CCM of RustCrypto.

use aes::cipher::BlockCipherEncrypt;
use ccm::aead::{AeadInOut, KeyInit};
use ccm::consts::{U8, U12};
use dimpl::crypto::{
    Aad, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite, HashAlgorithm,
    HashContext, HashProvider, HmacProvider, KeyProvider, Nonce, SecureRandom, SignatureAlgorithm,
    SignatureVerifier, SigningKey, SupportedDtls12CipherSuite, SupportedDtls13CipherSuite, TmpBuf,
};
use dimpl::{CryptoError, CryptoOperation};
use ring::rand::SecureRandom as _;
use ring::{aead, digest, hmac, rand};

/// Bytes of the tag, of the key, of the nonce's fixed part and of the part that each record has.
const TAG_BYTES: usize = 8;
const GCM_TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 16;
const FIXED_NONCE_BYTES: usize = 4;
const EXPLICIT_NONCE_BYTES: usize = 8;

type Aes128Ccm8 = ccm::Ccm<aes::Aes128, U8, U12>;

/// Everything that the suite needs, and nothing else: no certificates and no key exchange. `dimpl` asks
/// for a suite of DTLS 1.3, too, which the endpoint's configuration then leaves out.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: &[],
        signature_verification: &NoCertificates,
        key_provider: &NoCertificates,
        secure_random: &Ring,
        hash_provider: &Ring,
        hmac_provider: &Ring,
        cipher_suites: &[&PskAes128Ccm8],
        dtls13_cipher_suites: &[&Aes128Gcm],
    }
}

fn failed(operation: CryptoOperation) -> CryptoError {
    CryptoError::OperationFailed(operation)
}

#[derive(Debug)]
struct PskAes128Ccm8;

impl SupportedDtls12CipherSuite for PskAes128Ccm8 {
    fn suite(&self) -> Dtls12CipherSuite {
        Dtls12CipherSuite::PSK_AES128_CCM_8
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        (0, KEY_BYTES, FIXED_NONCE_BYTES)
    }

    fn explicit_nonce_len(&self) -> usize {
        EXPLICIT_NONCE_BYTES
    }

    fn tag_len(&self) -> usize {
        TAG_BYTES
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        let cipher = Aes128Ccm8::new_from_slice(key);
        let cipher = cipher.map_err(|_| failed(CryptoOperation::CreateCipher))?;
        Ok(Box::new(Ccm8(cipher)))
    }
}

struct Ccm8(Aes128Ccm8);

impl std::fmt::Debug for Ccm8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ccm8")
    }
}

impl Cipher for Ccm8 {
    fn encrypt(&mut self, text: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let sealed = self
            .0
            .encrypt_inout_detached(&nonce.0.into(), &aad, text.as_mut().into());
        let tag = sealed.map_err(|_| failed(CryptoOperation::Encrypt))?;
        text.extend_from_slice(&tag);
        Ok(())
    }

    fn decrypt(
        &mut self,
        text: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let wrong = || failed(CryptoOperation::Decrypt);
        let (_, tag) = text.as_ref().split_last_chunk().ok_or_else(wrong)?;
        let tag: [u8; TAG_BYTES] = *tag;
        let len = text.len() - TAG_BYTES;
        text.truncate(len);
        let nonce = nonce.0.into();
        let opened = self
            .0
            .decrypt_inout_detached(&nonce, &aad, text.as_mut().into(), &tag.into());
        opened.map_err(|_| wrong())
    }
}

/// The suite that every DTLS 1.3 has (RFC 9147 section 9); nothing negotiates it here.
#[derive(Debug)]
struct Aes128Gcm;

impl SupportedDtls13CipherSuite for Aes128Gcm {
    fn suite(&self) -> Dtls13CipherSuite {
        Dtls13CipherSuite::AES_128_GCM_SHA256
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn key_len(&self) -> usize {
        KEY_BYTES
    }

    fn iv_len(&self) -> usize {
        aead::NONCE_LEN
    }

    fn tag_len(&self) -> usize {
        GCM_TAG_BYTES
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, key);
        let key = key.map_err(|_| failed(CryptoOperation::CreateCipher))?;
        Ok(Box::new(Gcm(aead::LessSafeKey::new(key))))
    }

    fn encrypt_sn(&self, key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        let mut block = (*sample).into();
        if let Ok(cipher) = aes::Aes128::new_from_slice(key) {
            cipher.encrypt_block(&mut block);
        }
        block.into()
    }
}

#[derive(Debug)]
struct Gcm(aead::LessSafeKey);

impl Cipher for Gcm {
    fn encrypt(&mut self, text: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let aad = aead::Aad::from(&aad[..]);
        let sealed = self.0.seal_in_place_separate_tag(nonce, aad, text.as_mut());
        let tag = sealed.map_err(|_| failed(CryptoOperation::Encrypt))?;
        text.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn decrypt(
        &mut self,
        text: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let aad = aead::Aad::from(&aad[..]);
        let opened = self.0.open_in_place(nonce, aad, text.as_mut());
        let len = opened.map_err(|_| failed(CryptoOperation::Decrypt))?.len();
        text.truncate(len);
        Ok(())
    }
}

#[derive(Debug)]
struct Ring;

impl SecureRandom for Ring {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), CryptoError> {
        let filled = rand::SystemRandom::new().fill(buffer);
        filled.map_err(|_| failed(CryptoOperation::FillRandom))
    }
}

struct Sha256(digest::Context);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sha256")
    }
}

impl HashProvider for Ring {
    /// The only suite there is has SHA-256.
    fn create_hash(&self, _: HashAlgorithm) -> Box<dyn HashContext> {
        Box::new(Sha256(digest::Context::new(&digest::SHA256)))
    }
}

impl HashContext for Sha256 {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        out.clear();
        out.extend_from_slice(self.0.clone().finish().as_ref());
    }
}

impl HmacProvider for Ring {
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::UnsupportedHmacHash(hash));
        }
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
        let tag = tag.as_ref();
        let place = out.get_mut(..tag.len());
        place
            .ok_or_else(|| failed(CryptoOperation::ComputeHmac))?
            .copy_from_slice(tag);
        Ok(tag.len())
    }
}

/// There are no certificates here.
#[derive(Debug)]
struct NoCertificates;

impl SignatureVerifier for NoCertificates {
    fn verify_signature(
        &self,
        _: &[u8],
        _: &[u8],
        _: &[u8],
        _: HashAlgorithm,
        _: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        Err(failed(CryptoOperation::VerifySignature))
    }
}

impl KeyProvider for NoCertificates {
    fn load_private_key(&self, _: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        Err(failed(CryptoOperation::LoadPrivateKey))
    }
}

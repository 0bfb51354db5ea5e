import Crypto
import Imaging

/// What pictures a model was trained with, as one number.
public enum PixelDigest {
    /// SHA-256 over the pixels of all pictures in order, hexadecimal.
    public static func sha256(of images: [ModelImage]) -> String {
        var digest = SHA256()
        for image in images { digest.update(data: image.pixels) }
        return digest.finalize().hexadecimal
    }
}

/// Which Beltwatch this is: all programs of the package carry the same number.
public enum SoftwareVersion {
    public static let current = "0.2.0"
}

import Testing

@testable import SyntheticLine

/// The generator is fixed: the shipped demo model was trained on its pictures, and its figures refer to them.
///
/// A digest that changes means that model, figures and recording no longer belong together. Whoever changes the
/// generator on purpose trains the model again and then writes the new digests here.
@Suite struct FrozenOutputTests {
    @Test(arguments: [
        (SyntheticItem.Split.trainingGood, 0, 0x50B2_5E9F_33DE_99A7 as UInt64),
        (.validationGood, 7, 0x4AE1_B310_8449_97FA),
        (.testGood, 3, 0x4748_087F_35A2_ED24),
        (.testLogical, 0, 0x3E8F_2B68_6DD6_8361),
        (.testLogical, 1, 0xD02C_F3D9_0079_F919),
        (.testLogical, 2, 0xE932_714B_D11C_5579),
        (.testLogical, 3, 0x0F76_9AFE_CF66_5C20),
        (.testStructural, 0, 0x1A48_D896_2E3D_503B),
        (.testStructural, 1, 0xDB4E_D629_7C15_E42C),
        (.testStructural, 2, 0xFA88_7825_FD0C_F00D),
        (.testStructural, 3, 0x7D73_901E_8861_5918),
    ])
    func picturesAndMasksAreTheFrozenOnes(_ split: SyntheticItem.Split, _ index: Int, _ expected: UInt64) {
        let labelled = SyntheticItem(seed: 1, split: split, index: index).render()
        let digest = labelled.masks.reduce(fnv1a(labelled.image.pixels)) { fnv1a($1.pixels, after: $0) }
        #expect(digest == expected, "\(split.rawValue)/\(index): \(digest)")
    }

    @Test(arguments: [(0, 0x63EA_8BD0_26FF_34EF as UInt64), (4, 0x6412_21AA_31CD_6EDA), (101, 0x3392_9F47_D1F6_A1B6)])
    func framesOfTheRecordingAreTheFrozenOnes(_ number: Int, _ expected: UInt64) {
        let digest = fnv1a(SyntheticRecording().frame(number).pixels)
        #expect(digest == expected, "\(number): \(digest)")
    }

    /// FNV-1a, 64 bits.
    private func fnv1a(_ bytes: [UInt8], after start: UInt64 = 0xcbf2_9ce4_8422_2325) -> UInt64 {
        bytes.reduce(start) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}

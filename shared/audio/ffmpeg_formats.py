"""The containers and codecs that FFmpeg may read for voxmood, and what they are called."""

from __future__ import annotations

# Those whose headers say how long they are. Of others FFmpeg guesses it from their bytes and first bit rate.
STATES_LENGTH = {
    "aiff", "ape", "asf", "au", "avi", "caf", "dsf", "flv", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mpc",
    "mpc8", "mxf", "nistsphere", "shn", "tak", "tta", "voc", "w64", "wav", "wv", "xwma",
}  # fmt: skip
# Kinds that are known by their first bytes; in the sentence that asks for the extra.
MP4, AAC, AMR = "an M4A or MP4 recording", "an AAC recording", "an AMR recording"
_BY_HEAD = (
    (b"\x1aE\xdf\xa3", "a WebM or Matroska recording"), (b"0&\xb2u\x8ef\xcf\x11", "a WMA or WMV recording"),
    (b"FLV\x01", "a Flash video"), (b"wvpk", "a WavPack recording"), (b"TTA1", "a TTA recording"),
    (b"MAC ", "a Monkey's Audio recording"), (b"\x0bw", "an AC-3 recording"),
    (b".RMF", "a RealMedia recording"),
    (b"\0\0\x01\xba", "an MPEG video"), (b"MPCK", "a Musepack recording"), (b"DSD ", "a DSD recording"),
)  # fmt: skip
DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dss,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,"
    "mxf,nistsphere,ogg,qcp,rm,shn,tak,tta,voc,w64,wav,wv,xwma"
)
DECODERS = (
    "aac,aac_latm,ac3,adpcm_g726,adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_swf,adpcm_yamaha,alac,als,amrnb,amrwb,ape,"
    "cook,dca,dsd_lsbf,dsd_lsbf_planar,dsd_msbf,dsd_msbf_planar,dss_sp,eac3,evrc,flac,g722,g723_1,g726,g726le,"
    "g729,gsm,gsm_ms,ilbc,mace3,mace6,mp1,mp1float,mp2,mp2float,mp3,mp3float,mpc7,mpc8,nellymoser,opus,pcm_alaw,pcm_bluray,"
    "pcm_dvd,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,"
    "pcm_s32le,pcm_s8,pcm_u8,qcelp,qdm2,qdmc,real_144,real_288,shorten,sipr,siren,speex,tak,truespeech,tta,vorbis,"
    "wavpack,wmalossless,wmapro,wmav1,wmav2,wmavoice"
)


def kind_of(head: bytes) -> str | None:
    """What a file is, in words, where FFmpeg alone reads it; else None.

    Args:
        head: its first 16 bytes.
    """
    if head[4:8] == b"ftyp":
        return MP4
    if head.startswith(b"#!AMR"):
        return AMR
    # ADTS: twelve bits of sync and a layer of 0, which no MPEG audio layer has.
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return AAC
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "an AVI video"
    return next((words for magic, words in _BY_HEAD if head.startswith(magic)), None)

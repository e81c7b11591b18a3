"""From the words of a prompt to what a sandbox picture shows: its things, its light and its colours."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

Color = tuple[float, float, float]
"""sRGB, 0 to 1."""

WHITE: Color = (1.0, 1.0, 1.0)

# English words stand for themselves and their plural; Japanese and Chinese ones are found anywhere in the prompt.
_THINGS = {
    "mountain": "mountain peak alp alps summit volcano fuji valley cliff canyon 山 峰 谷 岳 富士",
    "hill": "hill hills hilly countryside 丘",
    "water": "sea ocean lake river beach coast shore harbor harbour island wave water bay boat ship sailboat "
    "海 湖 川 河 江 波 浜 港 島 岛 船",
    "forest": "forest wood woods tree pine jungle woodland 森 林 木 树 樹",
    "city": "city cities town street building skyline tower tokyo london paris downtown cyberpunk neon shop market "
    "metropolis 街 都市 都会 町 ビル 城市 城 楼 东京 東京 路",
    "desert": "desert dune sahara sand camel 砂漠 沙漠 砂丘 沙丘",
    "meadow": "flower meadow field garden rose tulip sunflower poppy poppies lavender grass spring 花 草原 野原 庭 畑 "
    "ばら 薔薇 玫瑰 ひまわり 向日葵 春",
    "sakura": "sakura cherry blossom plum 桜 櫻 樱 さくら 梅",
    "snow": "snow snowy winter ice frozen snowfall christmas 雪 冬 氷 冰",
    "rain": "rain rainy storm umbrella monsoon 雨 傘 伞 嵐",
    "aurora": "aurora aurorae northern borealis オーロラ 极光 極光",
    "moon": "moon moonlight moonlit lunar 月",
    "stars": "star starry galaxy galaxies cosmos milky space universe 星 銀河 银河 宇宙",
    "cloud": "cloud cloudy cloudscape heaven 雲 云",
    "person": "girl woman women man men boy person people child children lady princess traveller traveler samurai "
    "knight astronaut 少女 女 男 人 子 姫 侍 孩",
    "cat": "cat kitten kitty 猫 ねこ ネコ",
    "fox": "fox foxes dog wolf 狐 キツネ きつね 犬 狼 狗",
    "boat": "boat ship sail sailboat yacht 船 舟 ヨット 帆",
    "bird": "bird crane gull seagull swallow eagle 鳥 鸟 鶴 鹤",
    "house": "house cottage cabin hut home village 家 小屋 村 房",
}
_HOURS = {
    "night": "night midnight moon moonlight moonlit star starry galaxy galaxies cosmos aurora northern neon cyberpunk "
    "dark universe space firefly fireflies lantern 夜 月 星 銀河 银河 宇宙 极光 オーロラ 蛍",
    "dusk": "sunset dusk evening twilight 夕 暮 黄昏 日落 晚霞",
    "dawn": "sunrise dawn morning 朝 日出 曙 早晨 清晨",
    "day": "day noon sunny sun summer 昼 晴 夏 太陽 太阳 白天",
}
_COLOURS = {
    "red crimson scarlet 赤 紅 红": "d8342f",
    "orange amber 橙 オレンジ": "f08a2c",
    "yellow gold golden 黄 金": "f2c230",
    "green emerald 緑 绿": "3f9a52",
    "teal turquoise cyan 青緑 碧": "2ba6a0",
    "blue azure sapphire 青 蓝 藍": "2f6fd0",
    "purple violet lavender indigo 紫": "7d4fc4",
    "pink rose magenta sakura ピンク 桃 粉 桜 樱": "ef86b0",
    "white silver 白 銀": "eef0f2",
    "black dark 黒 黑": "23232b",
    "brown sepia 茶 棕": "8a5a36",
}


@dataclass(frozen=True)
class Light:
    """The colours of an hour: the sky from top to horizon, what shines in it, and the land nearest to us."""

    hour: str
    top: Color
    middle: Color
    low: Color
    glow: Color
    land: Color


def _rgb(code: str) -> Color:
    return int(code[:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:], 16) / 255


def _light(hour: str, codes: str) -> Light:
    return Light(hour, *(_rgb(code) for code in codes.split()))


_LIGHTS = (
    _light("day", "3479c4 86c0e8 e2f1f4 fffbe6 1f4f4a"),
    _light("dusk", "3d5f96 ef9d62 ffd992 fff0ba 33283f"),
    _light("dawn", "7186c0 f0b3b4 ffe6c4 fff3d8 37406a"),
    _light("dusk", "2b2256 b04a80 ff9f76 ffdcae 1c1834"),
    _light("day", "2a7f8e 8fcfc0 f3f0cf fffbe0 124049"),
    _light("dawn", "8f78bd f2aecb ffe3da fff4e6 4a3a68"),
    _light("night", "070c28 17306a 5f86bd f6f2d6 050a1c"),
    _light("night", "100730 44206f c0629a ffe9d2 0b0620"),
    _light("night", "04141f 0c4450 5fa99a eaf7e6 020d12"),
    _light("night", "0a0a20 23265a 8a6fa8 fbeccb 06061a"),
)


@dataclass(frozen=True)
class Scene:
    """What one picture shows: the names of its things, and its light."""

    things: frozenset[str]
    light: Light


def read(prompt: str, seed: int, index: int) -> Scene:
    """Read a scene out of a prompt; the variants of a prompt share its things and differ in their light."""
    words = set(re.findall(r"[a-z]+", prompt.lower()))
    words |= {word[:-1] for word in words if word.endswith("s")}

    def named(needles: str) -> bool:
        return any(needle in words if needle.isascii() else needle in prompt for needle in needles.split())

    things = {thing for thing, needles in _THINGS.items() if named(needles)}
    hours = [hour for hour, needles in _HOURS.items() if named(needles)]
    lights = [light for light in _LIGHTS if light.hour in hours[:1]] or [
        light for light in _LIGHTS if light.hour != "night"
    ]
    mood = int.from_bytes(hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[:4], "big")
    light = lights[(mood + seed + index) % len(lights)]
    for needles, code in _COLOURS.items():
        if named(needles):
            light = _tinted(light, _rgb(code))
            break
    if "city" in things and words & {"neon", "cyberpunk"}:
        light = replace(light, low=_rgb("ff4fa8"), middle=_rgb("4b1a86"))
    return Scene(frozenset(things), light)


def mix(first: Color, second: Color, share: float) -> Color:
    """One colour with a share (0 to 1) of another."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def _tinted(light: Light, color: Color) -> Light:
    shade = mix(color, (0.0, 0.0, 0.0), 0.75)
    return replace(
        light,
        top=mix(light.top, mix(color, light.top, 0.5), 0.6),
        middle=mix(light.middle, color, 0.4 if light.hour == "night" else 0.6),
        low=mix(light.low, mix(color, (1.0, 1.0, 1.0), 0.35), 0.45),
        land=mix(light.land, shade, 0.5),
    )

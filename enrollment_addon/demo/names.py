"""Names of people for the demo, by the language they go with; native/latin where the two differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Culture:
    """First and last names that go together, the language of these people, and where they phone from."""

    locale: str
    country_code: str
    first: tuple[str, ...]
    last: tuple[str, ...]


def _culture(locale: str, country_code: str, first: str, last: str) -> Culture:
    return Culture(locale, country_code, tuple(first.split()), tuple(last.split()))


CULTURES = (
    _culture(
        "de", "+49", "Anna Lukas Jürgen Greta Björn Käthe Moritz Franziska Karl-Heinz Sönke",
        "Müller Schröder Weiß Fischer Böhm Krüger Vogel Lehmann Groß Hoffmann-Lange",
    ),
    _culture(
        "fr", "+33", "Chloé Noël François Hélène Léa Théo Jean-Luc Océane Étienne Maëlys",
        "Martin Lefèvre Garçon Benoît Dubois D’Aubigné Moreau Çelik-Petit Girard Hérault",
    ),
    _culture(
        "es", "+34", "José María Íñigo Lucía Ángel Begoña Martín Ximena Raúl Inés",
        "García Núñez Peña Ibáñez López Muñoz Ortega Castaño Zúñiga Ríos",
    ),
    _culture(
        "ar", "+971",
        "ليلى/Layla محمد/Mohammed فاطمة/Fatima يوسف/Yusuf نور/Noor خالد/Khalid مريم/Maryam عمر/Omar "
        "سارة/Sara حسن/Hassan",
        "حداد/Haddad المنصوري/Almansoori خوري/Khoury النجار/Alnajjar صالح/Saleh بن‌علي/Benali الفارسي/Alfarsi "
        "درويش/Darwish قاسم/Qasim الزهراني/Alzahrani",
    ),
    _culture(
        "en", "+1", "Emma Liam Olivia Noah Ava Mason Sophia Ethan Grace Wyatt",
        "Smith O’Brien Johnson McAllister Williams Brown Taylor-Reed Davis Nguyen Washington",
    ),
    _culture(
        "tr", "+90", "Ayşe Mehmet Çiğdem Ömer İrem Şule Kağan Elif Barış Gül",
        "Yılmaz Şahin Çelik Öztürk Kılıç Aydın Doğan Güneş Erdoğan Işık",
    ),
    _culture(
        "pl", "+48", "Łukasz Małgorzata Zofia Paweł Agnieszka Kacper Żaneta Michał Święta Jadwiga",
        "Kowalska Wójcik Dąbrowski Szymańska Woźniak Łuczak Jabłoński Górski Zieliński Król",
    ),
    _culture(
        "pt", "+351", "João Conceição Inês Tomás Mariana Álvaro Beatriz Gonçalo Lurdes Simão",
        "Silva Gonçalves Araújo Simões Magalhães Conceição Pereira Leitão Falcão Brandão",
    ),
    _culture(
        "uk", "+380",
        "Оксана/Oksana Тарас/Taras Їжак/Yizhak Марія/Mariia Олег/Oleh Софія/Sofiia Андрій/Andrii Юлія/Yuliia",
        "Шевченко/Shevchenko Коваль/Koval Бондар/Bondar Кравець/Kravets Мороз/Moroz Лисенко/Lysenko",
    ),
    _culture(
        "ja", "+81", "さくら/Sakura 健/Ken 陽子/Yoko 翔/Sho 美咲/Misaki 大輔/Daisuke 葵/Aoi 蓮/Ren",
        "田中/Tanaka 佐藤/Sato 鈴木/Suzuki 高橋/Takahashi 伊藤/Ito 山本/Yamamoto",
    ),
    _culture(
        "vi", "+84", "Thảo Minh Hương Đức Linh Phúc Yến Quân",
        "Nguyễn Trần Lê Phạm Hoàng Võ Đặng Bùi",
    ),
    _culture(
        "sv", "+46", "Åsa Björk Elsa Örjan Märta Göran Freja Sören",
        "Åkesson Lindström Sjöberg Öberg Nyström Häggkvist Lund Berg",
    ),
)
PETS = (
    ("dog", "Beagle"), ("dog", "Labrador"), ("dog", "Border Collie"), ("dog", "Dackel"), ("dog", None),
    ("cat", "Maine Coon"), ("cat", None), ("horse", "Haflinger"),
)
PET_NAMES = ("Rex", "Luna", "Bello", "Minka", "Simba", "Kira", "Pünktchen", "Oscar", "Nala", "Ziggy")
